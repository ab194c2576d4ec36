"""Packages whose code is no program's own."""

from __future__ import annotations

OF_JAVA = frozenset(
    """
    java javax jdk sun kotlin kotlinx scala akka groovy clojure reactor jakarta junit feign okhttp3 retrofit2 rx okio
    com.sun com.fasterxml com.google com.zaxxer com.mysql com.mongodb com.datastax com.rabbitmq com.amazonaws
    com.microsoft com.oracle com.ibm com.github com.mchange com.squareup com.codahale com.netflix com.hazelcast
    com.couchbase com.typesafe com.jayway com.ctc com.intellij com.azure com.clickhouse com.solacesystems
    io.netty io.smallrye io.quarkus io.micronaut io.vertx io.grpc io.confluent io.lettuce io.micrometer
    io.reactivex io.opentelemetry io.github io.ktor io.r2dbc io.projectreactor io.debezium io.apicurio io.undertow
    io.arrow io.mockk io.kotest io.cloudevents io.nats io.prometheus io.jsonwebtoken io.helidon io.agroal
    org.springframework org.apache org.hibernate org.postgresql org.jboss org.eclipse org.junit org.codehaus
    org.mockito org.slf4j org.elasticsearch org.opensearch org.jooq org.mybatis org.redisson org.reactivestreams
    org.glassfish org.mariadb org.h2 org.hsqldb org.sqlite org.aspectj org.bson org.xerial org.quartz org.flywaydb
    org.liquibase org.thymeleaf org.yaml org.json org.gradle org.wildfly org.infinispan org.xml org.w3c org.neo4j
    org.joda org.firebirdsql org.axonframework org.jdbi org.everit org.snakeyaml org.ehcache org.threeten org.objectweb
    org.keycloak org.camunda org.activiti org.drools org.modelmapper org.mapstruct org.scala-lang org.jetbrains
    ch.qos redis.clients software.amazon co.elastic net.bytebuddy net.sf net.sourceforge oracle.jdbc oracle.net
    oracle.ucp oracle.sql oracle.kv
    """.split()
)
"""The first one or two parts of a package's name."""

OF_DOTNET = frozenset(
    """
    System Microsoft Npgsql MySql MySqlConnector Confluent MassTransit NServiceBus Newtonsoft StackExchange
    MongoDB Polly
    Grpc Dapper Wolverine JasperFx Marten Autofac AutoMapper MediatR Serilog Amazon Azure Google RabbitMQ Silverback
    Paramore FluentValidation Castle Oracle Elastic Elasticsearch Nest NHibernate KafkaFlow Streamiz Avro Chr
    Interop Internal MS NLog log4net Hangfire Quartz Refit RestSharp Flurl Rebus Akka Orleans ServiceStack lambda_method
    Xunit NUnit Couchbase Cassandra ClickHouse SQLitePCL Rebus Topshelf Apache Google
    """.split()
)
"""The first part of a namespace."""

OF_GO = frozenset(
    """
    net url os fs json xml strconv time http http2 tls x509 pgconn pgx pq mysql mongo redis kafka sarama status
    grpc validator
    yaml toml csv hex base64 exec syscall context io bufio sql driver runtime reflect template proto protoimpl
    avro jwt oauth2
    amqp elastic smithy types awserr dynamodb sqs sns s3 textproto zip gzip flate asn1 big netip dns websocket gorm bson
    primitive topology sqlite sqlite3 clickhouse gocql nats kgo kerr schemaregistry sr unicode utf8 regexp syntax parse
    """.split()
)
"""The name of a package."""
