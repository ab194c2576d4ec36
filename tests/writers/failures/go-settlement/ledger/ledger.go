// Package ledger books entries, and keeps rows in PostgreSQL.
package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrClosed is said of an account that takes no entries.
	ErrClosed = errors.New("account is closed")
	// ErrFrozen is said of an account that is under review.
	ErrFrozen = errors.New("account is frozen")
)

// Entry is what is booked.
type Entry struct {
	ID      string    `json:"id" validate:"required"`
	Account string    `json:"account" validate:"required"`
	Holder  string    `json:"holder"`
	Email   string    `json:"email" validate:"omitempty,email"`
	Cents   int64     `json:"cents" validate:"gte=-1000000"`
	At      time.Time `json:"at"`
	State   string    `json:"state"`
	Lines   []Line    `json:"lines" validate:"dive"`
	Rate    string    `json:"rate"`
	Chosen  int       `json:"chosen"`
	Meta    any       `json:"meta"`
	Parent  *Entry    `json:"parent"`
	Shares  int64     `json:"shares"`
	Tax     *Tax      `json:"tax"`
}

// Line is a part of an entry.
type Line struct {
	SKU   string `json:"sku" validate:"required"`
	Count int    `json:"count" validate:"gte=0"`
	Tax   *Tax   `json:"tax"`
}

// Tax is what the state takes.
type Tax struct {
	Code string `json:"code"`
}

// Book has the accounts.
type Book struct {
	check    *validate
	database *pgx.Conn
	totals   map[string]int64
}

type validate = validator.Validate

// Open connects and makes the tables anew.
func Open() *Book {
	url := fmt.Sprintf("postgres://shop@127.0.0.1:%s/postgres?sslmode=disable", os.Getenv("POSTGRES_PORT"))
	database, err := pgx.Connect(context.Background(), url)
	if err != nil {
		panic(err)
	}
	_, err = database.Exec(context.Background(), `
		DROP SCHEMA IF EXISTS settlement CASCADE; CREATE SCHEMA settlement; SET search_path = settlement;
		CREATE TABLE accounts (account text PRIMARY KEY, iban text NOT NULL CONSTRAINT accounts_iban_key UNIQUE,
			holder text NOT NULL, kind varchar(4));
		CREATE TABLE entries (entry text PRIMARY KEY, account text REFERENCES accounts, cents int NOT NULL,
			booked date, CONSTRAINT cents_not_zero CHECK (cents <> 0));`)
	if err != nil {
		panic(err)
	}
	return &Book{validator.New(), database, nil}
}

// Post books one entry.
func (b *Book) Post(value []byte) error {
	var entry Entry
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&entry); err != nil {
		return fmt.Errorf("decode entry: %w", err)
	}
	if err := b.check.Struct(entry); err != nil {
		return err
	}
	switch entry.State {
	case "closed":
		return fmt.Errorf("post %s to %s of %s: %w", entry.ID, entry.Account, entry.Holder, ErrClosed)
	case "frozen":
		return fmt.Errorf("post %s to %s of %s: %w", entry.ID, entry.Account, entry.Holder, ErrFrozen)
	}
	if entry.Parent != nil {
		return b.root(entry.Parent)
	}
	if entry.Rate != "" {
		rate, err := strconv.ParseFloat(entry.Rate, 64)
		if err != nil {
			return fmt.Errorf("entry %s: rate: %w", entry.ID, err)
		}
		return fmt.Errorf("rate %.4f of %v on %s is not known", rate, entry.Meta, entry.At.Format(time.RFC1123))
	}
	b.add(&entry)
	return nil
}

func (b *Book) root(entry *Entry) error {
	if entry.Parent != nil {
		return fmt.Errorf("entry %s: %w", entry.ID, b.root(entry.Parent))
	}
	return fmt.Errorf("entry %s has no root", entry.ID)
}

func (b *Book) add(entry *Entry) {
	if entry.Meta != nil {
		entry.Holder = strings.ToUpper(entry.Meta.(string))
	}
	if entry.Shares != 0 || entry.Chosen == 0 {
		b.split(entry)
	}
	if len(entry.Lines) > 0 {
		b.line(entry)
	}
	b.totals[entry.Account] += entry.Cents
}

func (b *Book) split(entry *Entry) int64 {
	return entry.Cents / entry.Shares
}

func (b *Book) line(entry *Entry) string {
	line := entry.Lines[entry.Chosen]
	return line.Tax.Code + taxOf(entry)
}

func taxOf(entry *Entry) string {
	return entry.Tax.Code
}

// Insert stores a row in the table that it names.
func (b *Book) Insert(value []byte) error {
	var row struct {
		Table  string   `json:"table"`
		Values []any    `json:"values"`
		Into   []string `json:"into"`
		Query  string   `json:"query"`
	}
	if err := json.Unmarshal(value, &row); err != nil {
		return err
	}
	query := row.Query
	if query == "" {
		places := make([]string, len(row.Values))
		for place := range row.Values {
			places[place] = "$" + strconv.Itoa(place+1)
		}
		query = fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", row.Table, strings.Join(row.Into, ", "), strings.Join(places, ", "))
	}
	if _, err := b.database.Exec(context.Background(), query, row.Values...); err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Detail != "" {
			return fmt.Errorf("insert into %s: %w, %s", row.Table, err, refused.Detail)
		}
		return fmt.Errorf("insert into %s: %w", row.Table, err)
	}
	return nil
}
