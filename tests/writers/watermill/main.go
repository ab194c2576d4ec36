// Lets Watermill's router and its poison queue write dead letters, through the marshaler of watermill-kafka. No broker is
// needed: records come from memory, and what would be sent is written down as JSON lines.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
)

type recorded struct {
	Name        string   `json:"name"`
	Topic       string   `json:"topic"`
	Partition   *int32   `json:"partition"`
	TimestampMs *int64   `json:"timestamp_ms"`
	Key         []byte   `json:"key"`
	Value       []byte   `json:"value"`
	Headers     [][2]any `json:"headers"`
}

// Gives the router one record as the subscriber of watermill-kafka would.
type records struct{ record *sarama.ConsumerMessage }

func (r records) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	given := make(chan *message.Message, 1)
	msg, err := kafka.DefaultMarshaler{}.Unmarshal(r.record)
	if err != nil {
		return nil, err
	}
	msg.SetContext(ctx)
	given <- msg
	return given, nil
}

func (r records) Close() error { return nil }

// Takes what the poison queue publishes.
type recording struct{ sent chan *sarama.ProducerMessage }

func (r recording) Publish(topic string, messages ...*message.Message) error {
	for _, msg := range messages {
		sent, err := kafka.DefaultMarshaler{}.Marshal(topic, msg)
		if err != nil {
			return err
		}
		r.sent <- sent
	}
	return nil
}

func (r recording) Close() error { return nil }

func deadLetter(topic string, headers []*sarama.RecordHeader, handler message.NoPublishHandlerFunc) *sarama.ProducerMessage {
	record := &sarama.ConsumerMessage{
		Topic: topic, Partition: 3, Offset: 417, Key: []byte("C-1"), Value: []byte("an order"),
		Timestamp: time.UnixMilli(1_700_000_000_000), Headers: headers,
	}
	written := recording{make(chan *sarama.ProducerMessage, 1)}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	check(err)
	poison, err := middleware.PoisonQueue(written, "poison")
	check(err)
	router.AddMiddleware(poison)
	router.AddNoPublisherHandler("charge", topic, records{record}, handler)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { check(router.Run(ctx)) }()
	return <-written.sent
}

func line(name string, sent *sarama.ProducerMessage) string {
	value, err := sent.Value.Encode()
	check(err)
	out := recorded{Name: name, Topic: sent.Topic, Value: value}
	if sent.Key != nil {
		out.Key, err = sent.Key.Encode()
		check(err)
	}
	for _, header := range sent.Headers {
		out.Headers = append(out.Headers, [2]any{string(header.Key), header.Value})
	}
	text, err := json.Marshal(out)
	check(err)
	return string(text)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func header(name, value string) *sarama.RecordHeader {
	return &sarama.RecordHeader{Key: []byte(name), Value: []byte(value)}
}

func main() {
	noStock := errors.New("no stock")
	// As another program of Watermill's has sent it.
	trace, id := header("trace", "t-1"), header(kafka.UUIDHeaderKey, "0199a7c2")
	lines := line("poisoned", deadLetter("orders", []*sarama.RecordHeader{id, trace},
		func(*message.Message) error { return fmt.Errorf("charging: %w", noStock) })) + "\n"
	lines += line("repeated-headers", deadLetter("orders",
		[]*sarama.RecordHeader{id, header("tag", "first"), trace, header("tag", "last"), header("priority", "7")},
		func(*message.Message) error { return noStock })) + "\n"
	first := deadLetter("orders", []*sarama.RecordHeader{id, trace}, func(*message.Message) error { return noStock })
	again := make([]*sarama.RecordHeader, len(first.Headers))
	for index := range first.Headers {
		again[index] = &first.Headers[index]
	}
	lines += line("failed-twice", deadLetter("poison", again,
		func(*message.Message) error { return errors.New("sold out") })) + "\n"
	check(os.WriteFile(os.Args[1], []byte(lines), 0o644))
}
