// Charges a wallet by Kafka: go run . BROKERS PREFIX USER AMOUNT REQUEST_ID
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type chargeWallet struct {
	Type    string `json:"type"`
	Version int    `json:"version"`
	// The same id takes effect once.
	RequestID string `json:"request_id"`
	UserID    string `json:"user_id"`
	Amount    int64  `json:"amount"`
}

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: go run . BROKERS PREFIX USER AMOUNT REQUEST_ID")
	}
	brokers, prefix, user, requestID := os.Args[1], os.Args[2], os.Args[3], os.Args[5]
	amount, err := strconv.ParseInt(os.Args[4], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	value, err := json.Marshal(chargeWallet{"charge_wallet", 1, requestID, user, amount})
	if err != nil {
		log.Fatal(err)
	}

	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		// Acknowledged by all replicas in sync, and idempotent: both are defaults.
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// murmur2, as Java has it.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	record := &kgo.Record{Topic: prefix + ".wallets", Key: []byte(user), Value: value}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		log.Fatalf("not on the log: %v; run it again with the same request id", err)
	}
	fmt.Println(record.Topic, record.Partition, record.Offset)
}
