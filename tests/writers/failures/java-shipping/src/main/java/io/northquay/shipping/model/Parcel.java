package io.northquay.shipping.model;

import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.FetchType;
import jakarta.persistence.Id;
import jakarta.persistence.ManyToOne;
import jakarta.persistence.Table;
import jakarta.persistence.UniqueConstraint;
import jakarta.persistence.Version;
import java.math.BigDecimal;

@Entity
@Table(name = "parcels", uniqueConstraints = {
    @UniqueConstraint(name = "uk_parcel_barcode", columnNames = "barcode"),
    @UniqueConstraint(name = "uk_parcel_slot", columnNames = "slot")})
public class Parcel {
    @Id
    @Column(length = 60)
    public String id;

    @Column(length = 60)
    public String barcode;

    @Column(length = 60)
    public String slot;

    @Column(nullable = false)
    public String receiver;

    @Column(nullable = false)
    public String street;

    @Column(length = 5)
    public String zone;

    @Column(precision = 6, scale = 2)
    public BigDecimal weight;

    @ManyToOne(fetch = FetchType.LAZY)
    public Depot depot;

    @Version
    public int version;

    public String getReceiver() {
        return receiver;
    }

    @Entity(name = "depots")
    public static class Depot {
        @Id
        public String id;
        public String city;

        public String getCity() {
            return city;
        }
    }
}
