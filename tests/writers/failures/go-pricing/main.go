// Takes records on standard input and answers each with its failure, or with null.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/pkg/errors"

	"pricing.example/pricing/catalog"
	"pricing.example/pricing/offers"
)

type deadLetter struct {
	Class   string `json:"error_class"`
	Message string `json:"message"`
	Stack   string `json:"stacktrace"`
}

type consumer struct {
	handlers map[string]func([]byte) error
}

func main() {
	store := catalog.New()
	service := offers.New()
	c := consumer{map[string]func([]byte) error{
		"prices": service.Price, "quotes": service.Quote, "feeds": service.Feed, "articles": store.Save,
		"levels": store.Level, "batches": service.Batch,
	}}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var record struct {
			Topic string
			Value []byte
		}
		if err := json.Unmarshal(line, &record); err != nil {
			panic(err)
		}
		answer, _ := json.Marshal(c.consume(record.Topic, record.Value))
		fmt.Println(string(answer))
	}
}

// The class is that of the cause, the stack that of the place where it was wrapped first.
func (c *consumer) consume(topic string, value []byte) (dead *deadLetter) {
	defer func() {
		if cause := recover(); cause != nil {
			dead = &deadLetter{"panic", fmt.Sprintf("panic: %v", cause), string(debug.Stack())}
		}
	}()
	if err := c.handlers[topic](value); err != nil {
		return &deadLetter{fmt.Sprintf("%T", errors.Cause(err)), err.Error(), fmt.Sprintf("%+v", err)}
	}
	return nil
}
