package com.hazelmart.orders;

import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.util.Map;
import javax.sql.DataSource;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.Configuration;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DriverManagerDataSource;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.util.backoff.FixedBackOff;
import org.springframework.validation.beanvalidation.MethodValidationPostProcessor;

@Configuration
@EnableKafka
@ComponentScan
public class Application {
    @Bean
    Consumers consumers() {
        return new Consumers();
    }

    @Bean
    ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory(Consumers consumers) {
        ConcurrentKafkaListenerContainerFactory<String, String> factory = new ConcurrentKafkaListenerContainerFactory<>();
        factory.setConsumerFactory(consumers);
        factory.setRecordInterceptor(consumers);
        factory.setCommonErrorHandler(new DefaultErrorHandler(consumers.recoverer(), new FixedBackOff(0, 0)));
        factory.getContainerProperties().setIdleBetweenPolls(10);
        return factory;
    }

    @Bean
    static MethodValidationPostProcessor validation() {
        return new MethodValidationPostProcessor();
    }

    @Bean
    ObjectMapper json() {
        return JsonMapper.builder().addModule(new JavaTimeModule())
                .enable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION).build();
    }

    /** Of a cluster that does not answer. */
    @Bean
    KafkaTemplate<String, String> template() {
        return new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(
                Map.of("bootstrap.servers", "127.0.0.1:9", "max.block.ms", "50"), new StringSerializer(), new StringSerializer()));
    }

    @Bean
    JdbcTemplate database() {
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("POSTGRES_PORT") + "/postgres?currentSchema=hazelmart";
        DataSource source = new DriverManagerDataSource(url, "shop", "shop");
        JdbcTemplate database = new JdbcTemplate(source);
        database.execute("""
                DROP SCHEMA IF EXISTS hazelmart CASCADE; CREATE SCHEMA hazelmart;
                CREATE TABLE hazelmart.customers (customer_id text PRIMARY KEY, email text, segment varchar(3));
                CREATE TABLE hazelmart.orders (order_id text PRIMARY KEY, reference text CONSTRAINT orders_reference_key UNIQUE,
                    customer_id text NOT NULL CONSTRAINT orders_customer_fk REFERENCES hazelmart.customers,
                    total numeric(8, 2) NOT NULL CONSTRAINT orders_total_check CHECK (total >= 0), placed_at timestamptz NOT NULL,
                    note text);
                CREATE FUNCTION hazelmart.release(order_id text, code text) RETURNS void LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'order % is not released', order_id USING ERRCODE = code; END $$;
                """);
        return database;
    }
}
