package com.hazelmart.orders;

import com.fasterxml.jackson.annotation.JsonProperty;
import jakarta.validation.Valid;
import jakarta.validation.constraints.Email;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotBlank;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.util.List;

public record Order(
        @JsonProperty(required = true) String orderId,
        @NotBlank String customerId,
        @Email String email,
        Status status,
        LocalDate wanted,
        Address address,
        String taxCode,
        String carrier,
        String voucher,
        Object channel,
        Category category,
        @Valid List<Line> lines) {

    public enum Status { NEW, PAID, SHIPPED }

    public record Address(String name, String city, String postcode) {}

    public record Category(String name, Category parent) {}

    public record Line(String sku, @Min(1) int quantity, BigDecimal price, String packs) {}
}
