package com.hazelmart.orders;

import jakarta.validation.Valid;
import java.math.BigDecimal;
import java.time.LocalDate;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.springframework.stereotype.Service;
import org.springframework.validation.annotation.Validated;

@Service
@Validated
public class OrderService {
    private static final Map<String, BigDecimal> VOUCHERS = Map.of("SPRING", BigDecimal.TEN);
    private static final Map<String, String> CARRIERS = Map.of("north", "https://carrier.example");

    public void place(@Valid Order order) {
        if (order.status() == Order.Status.SHIPPED) {
            throw new IllegalStateException("Order " + order.orderId() + " of " + order.address().name()
                    + " is already shipped to " + order.address().city());
        }
        if (order.category() != null) {
            rootOf(order.category());
        }
        BigDecimal total = order.lines().stream().map(this::sumOf).reduce(BigDecimal.ZERO, BigDecimal::add);
        if (order.voucher() != null) {
            total = total.subtract(discountOf(order.voucher()));
        }
        if (order.carrier() != null) {
            carrierOf(order.carrier());
        }
        if (order.channel() != null) {
            channelOf(order);
        }
        taxOf(order, total);
        labelOf(order);
    }

    private BigDecimal sumOf(Order.Line line) {
        if (line.packs() != null) {
            String[] packs = line.packs().split("/");
            return new BigDecimal(packs[line.quantity()]);
        }
        return line.price().multiply(BigDecimal.valueOf(line.quantity()));
    }

    private BigDecimal discountOf(String voucher) {
        return Optional.ofNullable(VOUCHERS.get(voucher)).orElseThrow();
    }

    private String carrierOf(String carrier) {
        return Optional.ofNullable(CARRIERS.get(carrier)).orElseThrow();
    }

    private String channelOf(Order order) {
        return ((String) order.channel()).toLowerCase();
    }

    /** The taxes are counted in parallel, so what goes wrong comes wrapped. */
    private void taxOf(Order order, BigDecimal total) {
        if (order.taxCode() == null) {
            return;
        }
        CompletableFuture.supplyAsync(() -> rateOf(order.taxCode()))
                .thenApply(rate -> total.divide(BigDecimal.valueOf(rate)))
                .thenAccept(tax -> Objects.requireNonNull(order.wanted()))
                .join();
    }

    private int rateOf(String code) {
        return Integer.parseInt(code);
    }

    private String labelOf(Order order) {
        if (order.wanted() != null && order.wanted().isBefore(LocalDate.of(2020, 1, 1))) {
            throw new LateOrderException(order.lines().stream().map(Order.Line::sku).toList(), order.wanted());
        }
        return postcodeOf(Objects.requireNonNull(order.address()));
    }

    private String postcodeOf(Order.Address address) {
        return Objects.requireNonNull(address.postcode()).strip();
    }

    private Order.Category rootOf(Order.Category category) {
        if (category.parent() != null) {
            return rootOf(category.parent());
        }
        if (!category.name().equals("all")) {
            throw new IllegalArgumentException("Category " + category.name() + " has no way up to all");
        }
        return category;
    }

    static class LateOrderException extends RuntimeException {
        LateOrderException(List<String> skus, LocalDate wanted) {
            super("Too late for " + skus + ": wanted on " + wanted);
        }
    }
}
