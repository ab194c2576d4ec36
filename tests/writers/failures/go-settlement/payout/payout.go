// Package payout pays at the bank, over HTTP.
package payout

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// RefusedError is what the bank says.
type RefusedError struct {
	Payout string
	Status int
	Body   string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("payout %s refused: HTTP %d %s", e.Payout, e.Status, e.Body)
}

// Desk pays.
type Desk struct {
	client *http.Client
	base   string
	mutex  sync.Mutex
	limits map[string][]int
}

type payout struct {
	ID     string   `json:"id"`
	Holder string   `json:"holder"`
	City   string   `json:"city"`
	Base   string   `json:"base"`
	Wait   int      `json:"wait"`
	Parts  []string `json:"parts"`
	Limit  string   `json:"limit"`
	Close  bool     `json:"close"`
}

// New has no limits yet.
func New() *Desk {
	base := "http://127.0.0.1:" + os.Getenv("UPSTREAM_PORT")
	return &Desk{client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, base: base}
}

// Pay asks the bank to pay.
func (d *Desk) Pay(value []byte) error {
	var p payout
	if err := json.Unmarshal(value, &p); err != nil {
		return fmt.Errorf("payout: %w", err)
	}
	if p.Limit != "" {
		return d.within(&p)
	}
	if p.Close {
		done := make(chan string)
		close(done)
		d.note(done, p.ID)
	}
	if len(p.Parts) > 0 {
		return d.parts(&p)
	}
	if p.Base == "" {
		p.Base = d.base
	}
	wait := 1000
	if p.Wait > 0 {
		wait = p.Wait
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(wait)*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Base+"/payouts/"+url.PathEscape(p.ID), nil)
	if err != nil {
		return fmt.Errorf("payout %s: %w", p.ID, err)
	}
	response, err := d.client.Do(request)
	if err != nil {
		return fmt.Errorf("payout %s of %s: %w", p.ID, p.Holder, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("payout %s of %s: reading the answer: %w", p.ID, p.Holder, err)
	}
	if response.StatusCode != http.StatusOK {
		return &RefusedError{p.ID, response.StatusCode, string(body)}
	}
	var answer struct {
		Paid *bool `json:"paid"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("payout %s of %s: answer %q: %w", p.ID, p.Holder, body, err)
	}
	if !*answer.Paid {
		return fmt.Errorf("%s in %s was not paid: %s", p.Holder, p.City, body)
	}
	return nil
}

func (d *Desk) note(done chan string, id string) {
	done <- id
}

func (d *Desk) within(p *payout) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	limits := d.limits[p.Limit]
	limits[len(p.ID)] = 0
	return nil
}

// Each part fails for itself; all of it is told.
func (d *Desk) parts(p *payout) error {
	var failed []error
	for _, part := range p.Parts {
		if _, err := netip.ParseAddrPort(part); err != nil {
			failed = append(failed, fmt.Errorf("part %s: %w", part, err))
		}
	}
	return errors.Join(failed...)
}

// Load reads what a file has.
func (d *Desk) Load(value []byte) error {
	var file struct {
		Path    string `json:"path"`
		Base64  string `json:"base64"`
		Hex     string `json:"hex"`
		Day     string `json:"day"`
		Took    string `json:"took"`
		Link    string `json:"link"`
		Columns string `json:"columns"`
	}
	if err := json.Unmarshal(value, &file); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	steps := []func() error{
		func() error { _, err := base64.StdEncoding.DecodeString(file.Base64); return err },
		func() error { _, err := hex.DecodeString(file.Hex); return err },
		func() error { _, err := time.ParseDuration("0s" + file.Took); return err },
		func() error { _, err := url.Parse(file.Link); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("file: %w", err)
		}
	}
	if file.Day != "" {
		if _, err := time.Parse(time.DateOnly, file.Day); err != nil {
			return err
		}
	}
	if file.Columns != "" {
		columns := strings.Split(file.Columns, ";")
		return fmt.Errorf("file has %d columns %v, want 9", len(columns), columns)
	}
	_, err := os.ReadFile(file.Path)
	return err
}
