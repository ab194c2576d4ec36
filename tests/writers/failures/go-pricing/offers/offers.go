// Package offers prices offers: decimals, YAML of partners, quotes over HTTP.
package offers

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	validation "github.com/go-ozzo/ozzo-validation/v4"
	"github.com/go-ozzo/ozzo-validation/v4/is"
	"github.com/golang-jwt/jwt/v5"
	"github.com/pkg/errors"
	"github.com/shopspring/decimal"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"gopkg.in/yaml.v3"
)

type price struct {
	Offer    string  `json:"offer"`
	Buyer    string  `json:"buyer"`
	Email    string  `json:"email"`
	Currency string  `json:"currency"`
	Amount   string  `json:"amount"`
	Parts    string  `json:"parts"`
	Lines    []line  `json:"lines"`
	Tree     *node   `json:"tree"`
	Rules    string  `json:"rules"`
	Tier     int     `json:"tier"`
	Tiers    []int   `json:"tiers"`
	Owner    *owner  `json:"owner"`
	Extra    any     `json:"extra"`
	Ratio    float64 `json:"ratio"`
}

type line struct {
	SKU   string `json:"sku"`
	Count int    `json:"count"`
}

type node struct {
	Name string `json:"name"`
	Next *node  `json:"next"`
}

type owner struct {
	Team *struct{ Name string }
}

// Validate is called by ozzo for each line.
func (l line) Validate() error {
	return validation.ValidateStruct(&l, validation.Field(&l.SKU, validation.Required), validation.Field(&l.Count, validation.Min(1)))
}

// Service prices.
type Service struct {
	client http.Client
	base   string
	rules  map[string]func(*price) error
}

// New has two rules.
func New() *Service {
	s := &Service{client: http.Client{Timeout: time.Second}, base: "http://127.0.0.1:" + os.Getenv("UPSTREAM_PORT")}
	s.rules = map[string]func(*price) error{"tier": s.tier, "owner": s.owner, "team": s.team, "extra": s.extra, "tree": func(p *price) error { return walk(p.Tree, 0) }}
	return s
}

// Price prices one offer.
func (s *Service) Price(value []byte) error {
	var p price
	if err := json.Unmarshal(value, &p); err != nil {
		return errors.Wrap(err, "price")
	}
	err := validation.ValidateStruct(&p,
		validation.Field(&p.Offer, validation.Required, validation.Length(1, 60)),
		validation.Field(&p.Buyer, validation.Required),
		validation.Field(&p.Email, is.EmailFormat),
		validation.Field(&p.Currency, validation.In("EUR", "USD")),
		validation.Field(&p.Lines))
	if err != nil {
		return errors.Wrapf(err, "offer %s", p.Offer)
	}
	if p.Rules != "" {
		return s.rules[p.Rules](&p)
	}
	amount, err := decimal.NewFromString(p.Amount)
	if err != nil {
		return errors.Wrapf(err, "offer %s of %s", p.Offer, p.Buyer)
	}
	parts, err := strconv.ParseInt(p.Parts, 10, 8)
	if err != nil {
		return errors.Wrapf(err, "offer %s of %s", p.Offer, p.Buyer)
	}
	share := amount.Div(decimal.NewFromInt(parts))
	return errors.Errorf("%s may not pay %s %s for %s", p.Buyer, share.StringFixed(2), p.Currency, p.Offer)
}

func (s *Service) tier(p *price) error {
	return errors.Errorf("tier %d", p.Tiers[p.Tier:][1])
}

func (s *Service) owner(p *price) error {
	return errors.Errorf("owner %s", p.Owner.Team.Name)
}

func (s *Service) team(p *price) error {
	team := p.Owner.Team
	return errors.Errorf("team %s", team.Name)
}

func (s *Service) extra(p *price) error {
	extra := p.Extra.(map[string]any)
	return errors.Errorf("extra %s", strings.Repeat("x", int(extra["times"].(float64))))
}

func walk(at *node, depth int) error {
	if at.Next != nil {
		return errors.WithMessagef(walk(at.Next, depth+1), "below %s", at.Name)
	}
	return errors.Errorf("%s is no leaf", at.Name)
}

// Feed reads what partners send, each in another format.
func (s *Service) Feed(value []byte) error {
	kind, text, _ := strings.Cut(string(value), "\n")
	switch kind {
	case "yaml":
		var feed struct {
			Partner string
			Prices  []struct{ Cents int }
		}
		return errors.Wrap(yaml.Unmarshal([]byte(text), &feed), "feed")
	case "xml":
		var feed struct {
			Price int `xml:"price"`
		}
		return errors.Wrap(xml.Unmarshal([]byte(text), &feed), "feed")
	case "struct":
		return errors.Wrap(protojson.Unmarshal([]byte(text), &structpb.Struct{}), "feed")
	case "moment":
		return errors.Wrap(protojson.Unmarshal([]byte(text), &timestamppb.Timestamp{}), "feed")
	case "bytes":
		return errors.Wrap(proto.Unmarshal([]byte(text), &structpb.Struct{}), "feed")
	case "token":
		_, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return []byte("no secret"), nil })
		return errors.Wrapf(err, "token %s", text)
	case "network":
		_, _, err := net.ParseCIDR(text)
		return errors.Wrap(err, "feed")
	default:
		return errors.Errorf("partner %s sends %s, which nobody here reads", text, kind)
	}
}

// Quote asks for a price.
func (s *Service) Quote(value []byte) error {
	var quote struct{ SKU, Base, Buyer, City string }
	if err := json.Unmarshal(value, &quote); err != nil {
		return errors.Wrap(err, "quote")
	}
	if quote.Base == "" {
		quote.Base = s.base
	}
	request, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, quote.Base+"/quotes/"+quote.SKU, nil)
	request.Close = true
	response, err := s.client.Do(request)
	if err != nil {
		return errors.WithStack(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return errors.Wrap(err, "reading the quote")
	}
	if response.StatusCode != http.StatusOK {
		return errors.Errorf("GET %s: %s", request.URL, response.Status)
	}
	var answer struct{ Cents json.Number }
	if err := json.Unmarshal(body, &answer); err != nil {
		return errors.Wrapf(err, "quote for %s", quote.Buyer)
	}
	cents, err := answer.Cents.Int64()
	if err != nil {
		return errors.Wrapf(err, "quote for %s", quote.Buyer)
	}
	return errors.Errorf("le prix de %s pour %s à %s est trop bas : %d", quote.SKU, quote.Buyer, quote.City, cents)
}

// Batch fails of whichever of its items fails first; items run side by side.
func (s *Service) Batch(value []byte) error {
	var items []price
	if err := json.Unmarshal(value, &items); err != nil {
		return errors.Wrap(err, "batch")
	}
	failures := make(chan error, len(items))
	for _, item := range items {
		go func() {
			defer func() {
				if cause := recover(); cause != nil {
					failures <- errors.Errorf("item %s: %v", item.Offer, cause)
				}
			}()
			failures <- s.rules[item.Rules](&item)
		}()
	}
	var told []string
	for range items {
		told = append(told, (<-failures).Error())
	}
	return errors.Errorf("%d of %d items failed: [%s]", len(told), len(items), strings.Join(told, " | "))
}
