package io.northquay.shipping;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import io.northquay.shipping.model.Parcel;
import java.util.Properties;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.Configuration;

/** Parcels in MariaDB through Hibernate. */
final class Depot {
    private final Gson json = new Gson();
    private final SessionFactory sessions = sessions();

    void store(byte[] value) {
        JsonObject asked = json.fromJson(ShippingTopology.text(value), JsonObject.class);
        switch (asked.get("do").getAsString()) {
            case "add" -> sessions.inTransaction(session -> session.persist(json.fromJson(asked.get("parcel"), Parcel.class)));
            case "detach" -> sessions.inTransaction(session -> referTo(session, asked));
            case "city" -> cityOf(asked.get("id").getAsString()).strip();
            case "stale" -> update(asked.get("id").getAsString());
            case "find" -> sessions.inTransaction(session -> session
                    .createQuery("from Parcel where zone = :zone", Parcel.class).setParameter("zone", asked.get("zone").getAsString()).getSingleResult());
            case "load" -> sessions.inTransaction(session -> session.getReference(Parcel.class, asked.get("id").getAsString()).getReceiver().strip());
            default -> sessions.inTransaction(session -> session.createQuery(asked.get("query").getAsString(), Object.class).list());
        }
    }

    private void referTo(Session session, JsonObject asked) {
        Parcel parcel = json.fromJson(asked.get("parcel"), Parcel.class);
        parcel.depot = new Parcel.Depot();
        parcel.depot.id = asked.get("depot").getAsString();
        session.persist(parcel);
    }

    /** Reads what is lazy after the session, as it should not. */
    private String cityOf(String id) {
        Parcel parcel = sessions.fromTransaction(session -> {
            Parcel.Depot depot = new Parcel.Depot();
            depot.id = "D-" + id;
            session.persist(depot);
            Parcel made = new Parcel();
            made.id = id;
            made.receiver = made.street = "x";
            made.depot = depot;
            session.persist(made);
            session.flush();
            session.clear();
            return session.get(Parcel.class, id);
        });
        return parcel.depot.getCity();
    }

    private void update(String id) {
        sessions.inTransaction(session -> {
            Parcel parcel = session.get(Parcel.class, id);
            sessions.inTransaction(other -> other.createMutationQuery("update Parcel set version = 7 where id = :id")
                    .setParameter("id", id).executeUpdate());
            parcel.street = "changed";
        });
    }

    private static SessionFactory sessions() {
        Properties properties = new Properties();
        properties.put("hibernate.connection.url", "jdbc:mariadb://127.0.0.1:" + System.getenv("MARIADB_PORT") + "/shop");
        properties.put("hibernate.connection.username", "shop");
        properties.put("hibernate.hbm2ddl.auto", "create");
        properties.put("hibernate.check_nullability", "false");
        return new Configuration().addAnnotatedClass(Parcel.class).addAnnotatedClass(Parcel.Depot.class)
                .addProperties(properties).buildSessionFactory();
    }
}
