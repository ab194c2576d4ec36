// Package catalog keeps articles in MariaDB, and reads levels in Avro.
package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/hamba/avro/v2"
	"github.com/pkg/errors"
)

var level = avro.MustParse(`{"type": "record", "name": "Level", "fields": [
	{"name": "sku", "type": "string"}, {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
	{"name": "tiers", "type": {"type": "array", "items": "long"}}]}`)

// Catalog is a database.
type Catalog struct {
	database *sql.DB
}

// New makes the tables anew.
func New() *Catalog {
	config := mysql.NewConfig()
	config.User, config.DBName, config.Net = "shop", "shop", "tcp"
	config.Addr = "127.0.0.1:" + os.Getenv("MARIADB_PORT")
	config.MultiStatements = true
	database, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		panic(err)
	}
	_, err = database.Exec(`DROP TABLE IF EXISTS offers, goods;
		CREATE TABLE goods (sku varchar(60) PRIMARY KEY, ean varchar(60), name varchar(20) NOT NULL, maker varchar(60) NOT NULL,
			cents smallint, since date, UNIQUE KEY goods_ean (ean));
		CREATE TABLE offers (offer varchar(60) PRIMARY KEY, sku varchar(60), CONSTRAINT offers_of_goods FOREIGN KEY (sku) REFERENCES goods (sku));`)
	if err != nil {
		panic(err)
	}
	return &Catalog{database}
}

// Save writes what a record says into the table that it names.
func (c *Catalog) Save(value []byte) error {
	var record struct {
		Table  string
		Row    map[string]any
		Find   string
		Locale string
	}
	if err := json.Unmarshal(value, &record); err != nil {
		return errors.Wrap(err, "article")
	}
	if record.Find != "" {
		return c.find(record.Find)
	}
	var columns, places []string
	var values []any
	for column, content := range record.Row {
		columns, places, values = append(columns, column), append(places, "?"), append(values, content)
	}
	query := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", record.Table, strings.Join(columns, ", "), strings.Join(places, ", "))
	connection, err := c.database.Conn(context.Background())
	if err != nil {
		return errors.WithStack(err)
	}
	defer connection.Close()
	if record.Locale != "" {
		if _, err := connection.ExecContext(context.Background(), "SET lc_messages = '"+record.Locale+"'"); err != nil {
			return errors.WithStack(err)
		}
		defer connection.ExecContext(context.Background(), "SET lc_messages = DEFAULT")
	}
	_, err = connection.ExecContext(context.Background(), query, values...)
	return errors.Wrapf(err, "saving %v", record.Row["sku"])
}

func (c *Catalog) find(sku string) error {
	var cents int
	err := c.database.QueryRow("SELECT cents FROM goods WHERE sku = ?", sku).Scan(&cents)
	return errors.Wrapf(err, "price of %s", sku)
}

// Level reads one level.
func (c *Catalog) Level(value []byte) error {
	var found struct {
		SKU   string  `avro:"sku"`
		Kind  string  `avro:"kind"`
		Tiers []int64 `avro:"tiers"`
	}
	if err := avro.Unmarshal(level, value, &found); err != nil {
		return errors.Wrapf(err, "level of %d bytes", len(value))
	}
	return errors.Errorf("level %s has no tier %d of %v", found.SKU, found.Tiers[2], found.Tiers)
}
