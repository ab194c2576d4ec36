package com.hazelmart.orders;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.annotation.TopicPartition;
import org.springframework.stereotype.Component;

@Component
public class OrderListener {
    private final ObjectMapper json;
    private final OrderService service;
    private final OrderRepository repository;
    private final CarrierClient carrier;
    private final EventRouter events;

    OrderListener(ObjectMapper json, OrderService service, OrderRepository repository, CarrierClient carrier, EventRouter events) {
        this.json = json;
        this.service = service;
        this.repository = repository;
        this.carrier = carrier;
        this.events = events;
    }

    @KafkaListener(topicPartitions = @TopicPartition(topic = "orders", partitions = "0"))
    public void onOrder(String value) throws JsonProcessingException {
        service.place(json.readValue(value, Order.class));
    }

    @KafkaListener(topicPartitions = @TopicPartition(topic = "rows", partitions = "0"))
    public void onRow(String value) throws JsonProcessingException {
        repository.insert(json.readTree(value));
    }

    @KafkaListener(topicPartitions = @TopicPartition(topic = "shipments", partitions = "0"))
    public void onShipment(String value) throws Exception {
        JsonNode shipment = json.readTree(value);
        carrier.book(shipment);
    }

    @KafkaListener(topicPartitions = @TopicPartition(topic = "events", partitions = "0"))
    public void onEvent(String value) throws Exception {
        events.route(json.readTree(value));
    }
}
