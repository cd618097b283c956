#include <QTest>
#include <cmath>
#include <limits>

#include "common/wire/bytes.hpp"
#include "common/wire/codec.hpp"
#include "common/wire/histogram_codec.hpp"
#include "tests/common/wire/random_message.hpp"

using namespace signalbox;
using namespace signalbox::wire;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kSeed = 20260707;

QByteArray hex(const Message& message) {
    const std::string bytes = encode(message);
    return QByteArray(bytes.data(), static_cast<qsizetype>(bytes.size())).toHex();
}

std::string bytes_of(const char* hex_text) {
    return QByteArray::fromHex(hex_text).toStdString();
}

/// An Events frame of one event, up to where the given bytes stand in for its `name` and what follows.
std::string event_ending_with(const char* hex_text) {
    return bytes_of("03 00 01 01 00 02 00 01 01") + bytes_of(hex_text);
}

/// A Tick frame of one group series whose only sample is of instrument 0, a distribution with these bytes.
std::string tick_with_histogram(const std::string& histogram) {
    return bytes_of("02 01 00 00 00 01 00 01 01 00 00 01 03") + histogram;
}

Tick tick_with_gauge(double value) {
    Tick tick;
    tick.series = {{Series::Source::group, 0, 0, {{0, GaugeValue{value}}}}};
    return tick;
}

}  // namespace

class TestCodec : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void every_message_survives_the_round_trip() {
        std::mt19937_64 random(kSeed);
        for (int i = 0; i < 3000; ++i) {
            const Message message = random_message(random);
            const Decoded decoded = decode(encode(message));
            QVERIFY2(decoded, decoded.error.c_str());
            QVERIFY(*decoded.message == message);
        }
    }

    void a_frame_cut_off_anywhere_is_refused() {
        std::mt19937_64 random(kSeed);
        for (int i = 0; i < 150; ++i) {
            const std::string frame = encode(random_message(random));
            for (std::size_t length = 0; length < frame.size(); ++length)
                QVERIFY(!decode(std::string_view(frame).substr(0, length)));
        }
    }

    void a_mutated_frame_is_refused_or_encodes_to_the_same_bytes_again() {
        std::mt19937_64 random(kSeed);
        int accepted = 0;
        for (int i = 0; i < 20000; ++i) {
            std::string frame = encode(random_message(random));
            for (auto changes = random() % 3 + 1; changes > 0; --changes)
                frame[random() % frame.size()] = static_cast<char>(random());
            const Decoded decoded = decode(frame);
            if (!decoded) {
                QVERIFY(decoded.error.find("at byte") != std::string::npos);
                continue;
            }
            ++accepted;
            QVERIFY(encode(*decoded.message) == frame);
        }
        QVERIFY(accepted > 1000);
    }

    void a_directory_has_these_bytes() {
        const Directory directory{{{.index = 3,
                                    .kind = InstrumentKind::gauge,
                                    .aggregation = Aggregation::max,
                                    .name = "age",
                                    .unit = "s",
                                    .help = "",
                                    .labels = {{"a", "b"}}}}};
        QCOMPARE(hex(directory), QByteArray("01"  // type: directory
                                            "01"  // one instrument
                                            "03"
                                            "02"
                                            "01"        // index 3, gauge, max
                                            "03616765"  // name "age"
                                            "0173"      // unit "s"
                                            "00"        // no help
                                            "01"        // one label
                                            "0161"
                                            "0162"));
    }

    void a_tick_has_these_bytes() {
        sketch::ExponentialHistogram histogram(5);
        histogram.add_to_bucket(-3, 200);
        histogram.add_to_bucket(-2, 1);
        histogram.add_to_bucket(2, 7);
        histogram.add_zeros(4);
        histogram.add_sum(1.5);
        Tick tick;
        tick.number = 300;
        tick.absolute = true;
        tick.degraded = true;
        tick.end = WallTime(1s);
        tick.length = 100ns;
        tick.target_workers = 2;
        tick.workers = {
            {.slot = 1,
             .generation = 5,
             .pid = 77,
             .state = WorkerState::stalled,
             .started = WallTime(-1ns),
             .heartbeat_age = 2ns,
             .resident_bytes = 128,
             .open_files = 9,
             .connections = 8,
             .requests = 6,
             .activity = "GET",
             .activity_age = 3ns,
             .queues = {
                 {.listener = 0, .depth = 1, .capacity = 2, .oldest = 4ns, .accepted = 3, .shed = 4}}}};
        tick.series = {
            {Series::Source::worker, 1, 5, {{0, CounterDelta{10}}, {32, GaugeValue{1.0}}, {2, histogram}}}};
        QCOMPARE(hex(tick), QByteArray("02"  // type: tick
                                       "ac02"
                                       "03"          // number 300; absolute and degraded
                                       "80a8d6b907"  // ends 10^9 ns after the epoch
                                       "c801"
                                       "02"  // 100 ns long, two workers wanted
                                       "01"  // one worker:
                                       "01"
                                       "05"
                                       "4d"
                                       "04"  // slot, generation, pid, stalled
                                       "01"
                                       "04"  // started at -1 ns, heartbeat 2 ns ago
                                       "8001"
                                       "09"
                                       "08"
                                       "06"  // 128 bytes, files, connections, requests
                                       "03474554"
                                       "06"  // "GET" for 3 ns
                                       "01"
                                       "00"
                                       "01"
                                       "02"
                                       "08"
                                       "03"
                                       "04"  // one queue
                                       "01"  // one series:
                                       "02"
                                       "01"
                                       "05"
                                       "03"  // worker, slot, generation, three samples:
                                       "01"
                                       "0a"  // 0: counter, 10
                                       "8202"
                                       "000000000000f03f"
                                       "00"  // 32: gauge, 1.0, set at no particular time
                                       "13"  // 2: distribution
                                       "0a"
                                       "00"
                                       "04"
                                       "000000000000f83f"  // scale 5, nothing unusual, four zeros, sum 1.5
                                       "06"
                                       "05"  // six buckets from -3
                                       "c801"
                                       "01"
                                       "00"
                                       "02"
                                       "07"));  // 200, 1, three empty, 7
    }

    void a_histogram_with_all_parts_has_these_bytes() {
        sketch::ExponentialHistogram histogram(5);
        histogram.add_to_bucket(1, 2);
        histogram.add_to_negative_bucket(-1, 3);
        histogram.add_to_negative_bucket(0, 4);
        histogram.add_sum(-1.5);
        histogram.add_nans(5);
        histogram.add_positive_infinities(6);
        histogram.add_negative_infinities(7);
        histogram.mark_underflow(8);
        histogram.mark_overflow(9);
        Writer writer;
        write_histogram(writer, histogram);
        const std::string bytes = writer.take();
        QCOMPARE(QByteArray::fromStdString(bytes).toHex(), QByteArray("0a"
                                                                      "3f"
                                                                      "00"
                                                                      "000000000000f8bf"  // sum -1.5
                                                                      "01"
                                                                      "02"
                                                                      "02"  // one bucket, 1: 2
                                                                      "02"
                                                                      "01"
                                                                      "03"
                                                                      "04"  // two negative, from -1: 3, 4
                                                                      "05"
                                                                      "06"
                                                                      "07"
                                                                      "08"
                                                                      "09"));
        Reader reader(bytes);
        std::size_t allowance = 3;
        QVERIFY(read_histogram(reader, allowance) == histogram);
        QCOMPARE(allowance, std::size_t{0});
    }

    void events_have_these_bytes() {
        const Events events{
            1,
            {{.sequence = 2,
              .time = WallTime(-2ns),
              .severity = Severity::error,
              .slot = Event::kGroup,
              .generation = 0,
              .pid = 3,
              .name = "n",
              .text = "é",
              .kind = EventKind::failure,
              .duration = 3ns,
              .fields =
                  {{"t", std::string("v")}, {"i", std::int64_t{-2}}, {"r", 1.0}, {"n", false}, {"y", true}},
              .cut = true},
             {.sequence = 3,
              .time = WallTime(1ns),
              .severity = Severity::debug,
              .slot = 0,
              .generation = 4,
              .pid = 5,
              .name = "",
              .text = ""}}};
        QCOMPARE(hex(events), QByteArray("03"  // type: events
                                         "01"
                                         "02"  // one lost, two here
                                         "02"
                                         "03"
                                         "04"
                                         "00"
                                         "00"
                                         "03"
                                         "016e"
                                         "02c3a9"
                                         "03"
                                         "01"
                                         "06"          // failure, cut, after 3 ns
                                         "05"          // five fields
                                         "0174010176"  // "t": text "v"
                                         "01690203"    // "i": integer -2
                                         "017203000000000000f03f"
                                         "016e04"  // "n": false
                                         "017905"
                                         "03"
                                         "02"
                                         "01"
                                         "01"
                                         "04"
                                         "05"
                                         "00"
                                         "00"
                                         "00"
                                         "00"
                                         "00"
                                         "00"));
    }

    void malformed_frames_are_refused_at_the_right_offset_data() {
        QTest::addColumn<std::string>("frame");
        QTest::addColumn<QString>("error");
        const auto row = [](const char* name, const std::string& frame, const char* error) {
            QTest::newRow(name) << frame << QString(error);
        };
        const std::string sum(8, '\0');

        row("empty", "", "the frame ends in the middle of a value (at byte 0 of 0)");
        row("unknown type", bytes_of("00"), "there is no message type 0 (at byte 0 of 1)");
        row("trailing bytes", bytes_of("0100 ffff"),
            "2 bytes follow the end of the message (at byte 2 of 4)");
        row("padded varint", bytes_of("03 8000 00"), "a number is longer than it need be (at byte 1 of 4)");
        row("65 bits", bytes_of("03 ffffffffffffffffff02 00"), "a number exceeds 64 bits (at byte 1 of 12)");
        row("too many items", bytes_of("03 00 ff01 00"),
            "a list of 255 items does not fit the rest of the frame (at byte 2 of 5)");
        row("severity", bytes_of("03 00 01 01 00 05 00 01 01 00 00 00 00 00 00"),
            "no enumerator has the value 5 (at byte 5 of 15)");
        row("tick flags", bytes_of("02 01 04 00 00 00 00 00"), "unknown flags of a tick (at byte 2 of 8)");
        row("text too long for the frame", event_ending_with("09 6161616161"),
            "a text is longer than the rest of the frame (at byte 9 of 15)");
        row("name too long", event_ending_with("8002 00000000"),
            "the number 256 exceeds 255 (at byte 9 of 15)");
        row("not UTF-8", event_ending_with("01ff 00000000"), "a text is not UTF-8 (at byte 9 of 15)");
        row("kind", event_ending_with("00 00 05 00 00 00"),
            "no enumerator has the value 5 (at byte 11 of 15)");
        row("event flags", event_ending_with("00 00 00 02 00 00"),
            "unknown flags of an event (at byte 12 of 15)");
        row("too many fields", event_ending_with("00 00 00 00 00 02 00 04"),
            "a list of 2 items does not fit the rest of the frame (at byte 14 of 17)");
        row("field type", event_ending_with("00 00 00 00 00 01 00 06"),
            "no enumerator has the value 6 (at byte 16 of 17)");
        row("sample without a kind", bytes_of("02 01 00 00 00 01 00 01 01 00 00 01 00 00"),
            "a sample has no kind (at byte 12 of 14)");
        row("-0", bytes_of("02 01 00 00 00 01 00 01 01 00 00 01 02 0000000000000080"),
            "a real number is -0, which is written as 0 (at byte 13 of 21)");
        row("another NaN", bytes_of("02 01 00 00 00 01 00 01 01 00 00 01 02 010000000000f87f"),
            "a NaN is not the canonical one (at byte 13 of 21)");
        row("scale", tick_with_histogram(bytes_of("10 00 00") + sum + bytes_of("00")),
            "there is no histogram scale 8 (at byte 13 of 25)");
        row("more buckets than the scale has",
            tick_with_histogram(bytes_of("03 00 00") + sum + bytes_of("12 00 01")),
            "the number 18 exceeds 17 (at byte 24 of 27)");
        row("buckets out of range", tick_with_histogram(bytes_of("03 00 00") + sum + bytes_of("01 12 01")),
            "buckets from 9 lie outside the covered range (at byte 25 of 27)");
        row("an empty bucket first",
            tick_with_histogram(bytes_of("03 00 00") + sum + bytes_of("02 00 00 00 01")),
            "a run of empty buckets is at the start or split in two (at byte 26 of 29)");
        row("an empty bucket last",
            tick_with_histogram(bytes_of("03 00 00") + sum + bytes_of("02 00 01 00 00")),
            "a run of empty buckets reaches the end of the histogram (at byte 27 of 29)");
        row("a run split in two",
            tick_with_histogram(bytes_of("03 00 00") + sum + bytes_of("04 00 01 00 00 00 00 01")),
            "a run of empty buckets is at the start or split in two (at byte 29 of 32)");
        row("counts beyond 64 bits",
            tick_with_histogram(bytes_of("03 00 01") + sum + bytes_of("01 00 ffffffffffffffffff01")),
            "a histogram counts past 64 bits (at byte 26 of 36)");
        row("flags of a histogram", tick_with_histogram(bytes_of("03 40 00") + sum + bytes_of("00")),
            "unknown flags of a histogram (at byte 14 of 25)");
        row("no negative buckets", tick_with_histogram(bytes_of("03 01 00") + sum + bytes_of("00 00")),
            "a histogram has no negative buckets after all (at byte 25 of 26)");
        row("no NaNs", tick_with_histogram(bytes_of("03 02 00") + sum + bytes_of("00 00")),
            "a flag of a histogram announces nothing (at byte 25 of 26)");
        row("counts of both sides beyond 64 bits",
            tick_with_histogram(bytes_of("03 01 00") + sum + bytes_of("01 00 ffffffffffffffffff01 01 00 01")),
            "a histogram counts past 64 bits (at byte 38 of 39)");
    }
    void malformed_frames_are_refused_at_the_right_offset() {
        QFETCH(std::string, frame);
        QFETCH(QString, error);
        const Decoded decoded = decode(frame);
        QVERIFY(!decoded);
        QCOMPARE(QString::fromStdString(decoded.error), error);
    }

    void runs_of_empty_buckets_cannot_fill_the_memory() {
        // Each histogram takes 20 bytes here and 64 KiB once decoded; the limit is that of 2048 of them.
        const std::string widest = bytes_of("03 0e 00 00 0000000000000000 8040 ff3b 01 00 fd3f 01");
        const auto tick = [&widest](std::uint64_t histograms) {
            Writer count;
            count.number(histograms);
            std::string frame = bytes_of("02 01 00 00 00 01 00 01 01 00 00") + count.take();
            for (; histograms > 0; --histograms)
                frame += widest;
            return frame;
        };
        const Decoded most = decode(tick(2048));
        QVERIFY2(most, most.error.c_str());
        const Decoded more = decode(tick(2049));
        QVERIFY(QString::fromStdString(more.error)
                    .startsWith("the frame's histograms have too many buckets in all"));
    }

    void a_frame_beyond_the_limit_is_refused_unread() {
        const Decoded decoded = decode(std::string(kMaxFrameBytes + 1, '\1'));
        QCOMPARE(decoded.error, std::string("a frame of 16777217 bytes exceeds the limit of 16777216"));
    }

    void texts_from_outside_are_made_to_fit() {
        Event event;
        event.name = std::string(300, 'n');
        event.text = "GET /\xff";
        const Decoded decoded = decode(encode(Events{0, {event}}));
        QVERIFY2(decoded, decoded.error.c_str());
        const Event& received = std::get<Events>(*decoded.message).events.at(0);
        QCOMPARE(received.name.size(), kMaxNameBytes);
        QCOMPARE(received.text, std::string("GET /\xEF\xBF\xBD"));
    }

    void odd_floating_point_values_have_one_form() {
        const auto gauge = [](double value) { return hex(tick_with_gauge(value)); };
        QCOMPARE(gauge(-0.0), gauge(0.0));
        QCOMPARE(gauge(-std::numeric_limits<double>::quiet_NaN()),
                 gauge(std::numeric_limits<double>::quiet_NaN()));
        QVERIFY(decode(encode(tick_with_gauge(-std::nan("7")))));
    }
};

QTEST_GUILESS_MAIN(TestCodec)
#include "test_codec.moc"
