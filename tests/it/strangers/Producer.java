import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Produces what standard input says, as a service in Java would: a line is a record, with tabs between codec, mode (plain,
 * commit or abort: in a transaction of its own), header name in hex, bytes of the header's value, key, and value (`-`: none).
 */
public class Producer {
    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            produce(arguments[0], arguments[1], line.split("\t", -1));
        }
    }

    private static void produce(String brokers, String topic, String[] fields) throws Exception {
        var settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        settings.put("compression.type", fields[0]);
        settings.put("max.request.size", "4000000");
        boolean transaction = !fields[1].equals("plain");
        if (transaction) {
            settings.put("transactional.id", "stranger-" + UUID.randomUUID());
        }
        var record = new ProducerRecord<String, String>(topic, fields[4], fields[5].equals("-") ? null : fields[5]);
        if (!fields[3].equals("-")) {
            var name = new String(HexFormat.of().parseHex(fields[2]), StandardCharsets.UTF_8);
            record.headers().add(name, new byte[Integer.parseInt(fields[3])]);
        }
        try (var producer = new KafkaProducer<String, String>(settings)) {
            if (transaction) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            producer.send(record).get();
            if (fields[1].equals("commit")) {
                producer.commitTransaction();
            } else if (transaction) {
                producer.abortTransaction();
            }
        }
    }
}
