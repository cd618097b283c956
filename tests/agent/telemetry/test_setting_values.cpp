// The values of tunables: what people write, exactly, and back.
#include <QtTest>
#include <bit>
#include <cmath>
#include <random>

#include "agent/telemetry/setting_values.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;
using detail::SettingType;

Q_DECLARE_METATYPE(SettingType)

class TestSettingValues : public QObject {
    Q_OBJECT
private slots:
    void what_is_written_is_read_data();
    void what_is_written_is_read();
    void what_is_no_value_is_refused_with_an_example_data();
    void what_is_no_value_is_refused_with_an_example();
    void every_value_survives_being_written_and_read();
    void order_is_that_of_the_type();
};

void TestSettingValues::what_is_written_is_read_data() {
    QTest::addColumn<SettingType>("type");
    QTest::addColumn<QString>("text");
    QTest::addColumn<qint64>("word");
    QTest::addColumn<QString>("shown");
    const auto row = [](SettingType type, const char* text, std::int64_t word, const char* shown) {
        QTest::addRow("%s %s", type_name(type).data(), text)
            << type << QString::fromUtf8(text) << qint64(word) << shown;
    };
    constexpr std::int64_t kSecond = 1'000'000'000;
    const auto duration = SettingType::duration;
    row(duration, "250ms", kSecond / 4, "250ms");
    row(duration, "0.25s", kSecond / 4, "250ms");
    row(duration, "1.5s", kSecond * 3 / 2, "1.5s");
    row(duration, "1500ms", kSecond * 3 / 2, "1.5s");
    row(duration, "60s", 60 * kSecond, "60s");
    row(duration, "1m", 60 * kSecond, "60s");
    row(duration, "5m", 300 * kSecond, "5min");
    row(duration, "5min", 300 * kSecond, "5min");
    row(duration, "90s", 90 * kSecond, "90s");
    row(duration, "24h", 86400 * kSecond, "24h");
    row(duration, "1d", 86400 * kSecond, "24h");
    row(duration, "0.5h", 1800 * kSecond, "30min");
    row(duration, "7us", 7000, "7us");
    row(duration, "7µs", 7000, "7us");
    row(duration, "7ns", 7, "7ns");
    row(duration, "0.000000007s", 7, "7ns");
    row(duration, "1.000000007s", kSecond + 7, "1.000000007s");
    row(duration, "0s", 0, "0s");
    row(duration, "0ms", 0, "0s");
    row(duration, "-5ms", -5'000'000, "-5ms");
    row(duration, "9223372036854775807ns", INT64_MAX, "9223372036.854775807s");
    row(SettingType::boolean, "true", 1, "true");
    row(SettingType::boolean, "on", 1, "true");
    row(SettingType::boolean, "false", 0, "false");
    row(SettingType::boolean, "off", 0, "false");
    row(SettingType::integer, "42", 42, "42");
    row(SettingType::integer, "-9223372036854775808", INT64_MIN, "-9223372036854775808");
    row(SettingType::real, "0.75", std::bit_cast<std::int64_t>(0.75), "0.75");
    row(SettingType::real, "1e-3", std::bit_cast<std::int64_t>(0.001), "0.001");
    row(SettingType::bytes, "512MiB", 512 << 20, "512MiB");
    row(SettingType::bytes, "1024KiB", 1 << 20, "1MiB");
    row(SettingType::bytes, "1000", 1000, "1000B");
    row(SettingType::bytes, "0", 0, "0B");
}

void TestSettingValues::what_is_written_is_read() {
    QFETCH(SettingType, type);
    QFETCH(QString, text);
    const std::uint64_t word = parse_value(type, text.toStdString());
    QTEST(static_cast<qint64>(word), "word");
    QTEST(QString::fromStdString(format_value(type, word)), "shown");
}

void TestSettingValues::what_is_no_value_is_refused_with_an_example_data() {
    QTest::addColumn<SettingType>("type");
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("expected");
    const auto rows = [](SettingType type, const char* expected, std::initializer_list<const char*> texts) {
        for (const char* text : texts)
            QTest::addRow("%s '%s'", type_name(type).data(), text)
                << type << QString(text) << QString(expected);
    };
    rows(SettingType::duration, "is not a duration; try '250ms'",
         {"",
          "5",
          "ms",
          "5 ms",
          " 5ms",
          "5ms ",
          "5parsecs",
          "1.s",
          ".5s",
          "1.5.5s",
          "--5s",
          "+5s",
          "5S",
          "1e3s",
          "0.0000000001s",
          "1.5ns",
          "9223372036854775808ns",
          "99999999999999999999s",
          "300000000h",
          "5ms\n"});
    rows(SettingType::integer, "is not a whole number; try '42'",
         {"", "4.5", "9223372036854775808", "0x10", "4 2", "five", "+5"});
    rows(SettingType::real, "is not a number; try '0.75'",
         {"", "nan", "inf", "-inf", "1e999", "0,5", "half"});
    rows(SettingType::boolean, "is not true or false", {"", "yes", "1", "TRUE"});
    rows(SettingType::bytes, "is not a size; try '512MiB'",
         {"", "-1", "12 parsecs", "1TiB", "99999999999GiB"});
    rows(SettingType::text, "cannot", {});
}

void TestSettingValues::what_is_no_value_is_refused_with_an_example() {
    QFETCH(SettingType, type);
    QFETCH(QString, text);
    QFETCH(QString, expected);
    try {
        parse_value(type, text.toStdString());
        QFAIL("accepted");
    } catch (const std::invalid_argument& error) {
        QVERIFY2(QString(error.what()).contains("'" + text + "' " + expected), error.what());
    }
}

void TestSettingValues::every_value_survives_being_written_and_read() {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20'000; ++i) {
        // All magnitudes, and round numbers as well as odd ones.
        std::uint64_t word = random() >> random() % 64;
        if (i % 3 == 0) word = word / 1'000'000 * 1'000'000;
        const auto negative = static_cast<std::uint64_t>(-static_cast<std::int64_t>(word >> 1));
        for (const SettingType type : {SettingType::duration, SettingType::integer}) {
            QCOMPARE(parse_value(type, format_value(type, word >> 1)), word >> 1);
            QCOMPARE(parse_value(type, format_value(type, negative)), negative);
        }
        QCOMPARE(parse_value(SettingType::bytes, format_value(SettingType::bytes, word)), word);
        if (is_value(SettingType::real, word))
            QCOMPARE(parse_value(SettingType::real, format_value(SettingType::real, word)), word);
    }
}

void TestSettingValues::order_is_that_of_the_type() {
    const auto minus_one = static_cast<std::uint64_t>(-1);
    QVERIFY(is_less(SettingType::integer, minus_one, 0));
    QVERIFY(is_less(SettingType::duration, minus_one, 0));
    QVERIFY(is_less(SettingType::bytes, 0, minus_one));
    QVERIFY(
        is_less(SettingType::real, std::bit_cast<std::uint64_t>(-2.5), std::bit_cast<std::uint64_t>(-1.5)));
    QVERIFY(!is_value(SettingType::real, std::bit_cast<std::uint64_t>(std::nan(""))));
    QVERIFY(!is_value(SettingType::boolean, 2));
}

QTEST_GUILESS_MAIN(TestSettingValues)
#include "test_setting_values.moc"
