// Takes records on standard input and answers each with its failure, or with null.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"settlement.example/settlement/ledger"
	"settlement.example/settlement/payout"
)

type asked struct {
	Topic string `json:"topic"`
	Value []byte `json:"value"`
}

type failure struct {
	Class   string `json:"error_class"`
	Message string `json:"message"`
	Stack   string `json:"stacktrace"`
}

func main() {
	book := ledger.Open()
	desk := payout.New()
	handlers := map[string]func([]byte) error{"entries": book.Post, "rows": book.Insert, "payouts": desk.Pay, "files": desk.Load}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var record asked
		if err := json.Unmarshal(line, &record); err != nil {
			panic(err)
		}
		answers := make(chan *failure)
		go func() { answers <- attempt(handlers[record.Topic], record.Value) }()
		answer, _ := json.Marshal(<-answers)
		fmt.Println(string(answer))
	}
}

// An error has no stack in Go; a panic has.
func attempt(handle func([]byte) error, value []byte) (failed *failure) {
	defer func() {
		if cause := recover(); cause != nil {
			failed = &failure{fmt.Sprintf("%T", cause), fmt.Sprint(cause), string(debug.Stack())}
		}
	}()
	if err := handle(value); err != nil {
		return &failure{fmt.Sprintf("%T", err), err.Error(), ""}
	}
	return nil
}
