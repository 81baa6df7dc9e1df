import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Charges a wallet by Kafka: {@code java -cp kafka-clients.jar:… Charge.java BROKERS PREFIX USER AMOUNT REQUEST_ID}. */
public class Charge {
    public static void main(String[] arguments) throws Exception {
        String brokers = arguments[0], prefix = arguments[1], user = arguments[2];
        long amount = Long.parseLong(arguments[3]);
        // The same id takes effect once.
        UUID requestId = UUID.fromString(arguments[4]);

        var settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        // Acknowledged by all replicas in sync; both are the client's defaults. So is the right partitioner.
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");

        String command = """
            {"type":"charge_wallet","version":1,"request_id":"%s","user_id":%s,"amount":%d}"""
            .formatted(requestId, quoted(user), amount);
        try (var producer = new KafkaProducer<String, String>(settings)) {
            var place = producer.send(new ProducerRecord<>(prefix + ".wallets", user, command)).get();
            System.out.println(place.topic() + " " + place.partition() + " " + place.offset());
        }
    }

    /** A JSON string. A service has a library for this. */
    private static String quoted(String text) {
        var out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            switch (c) {
                case '"', '\\' -> out.append('\\').append(c);
                default -> out.append(c < ' ' ? String.format("\\u%04x", (int) c) : c);
            }
        }
        return out.append('"').toString();
    }
}
