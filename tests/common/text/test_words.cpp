#include <QTest>

#include "common/text/words.hpp"

using namespace signalbox::text;
using namespace std::chrono_literals;

class TestWords : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void what_could_harm_a_terminal_is_escaped_data() {
        QTest::addColumn<std::string>("text");
        QTest::addColumn<std::string>("safe");
        QTest::newRow("harmless") << std::string("GET /é/列車 \U0001F689")
                                  << std::string("GET /é/列車 \U0001F689");
        QTest::newRow("lines") << std::string("a\r\n\tb") << std::string("a\\r\\n\\tb");
        QTest::newRow("colour") << std::string("\x1b[31m") << std::string("\\x1b[31m");
        QTest::newRow("DEL and NUL") << std::string("\x7f\0", 2) << std::string("\\x7f\\x00");
        QTest::newRow("C1") << std::string("\u009b2J") << std::string("\\x9b2J");
        QTest::newRow("not UTF-8") << std::string("\xff") << std::string("\\xff");
        QTest::newRow("right to left") << std::string("a\u202eb") << std::string("a\\u202eb");
    }
    void what_could_harm_a_terminal_is_escaped() {
        QFETCH(std::string, text);
        QTEST(escaped(text), "safe");
    }

    void long_text_is_cut_or_folded_by_columns() {
        QCOMPARE(fitted("short", 5), std::string("short"));
        QCOMPARE(fitted("longer", 5), std::string("long…"));
        QCOMPARE(fitted("列車が来る", 5), std::string("列車…"));
        QCOMPARE(folded("one line", 10, 2), std::string("one line\n"));
        QCOMPARE(folded("two lines at a space", 12, 2), std::string("two lines at\n  a space\n"));
        QCOMPARE(folded("0123456789abcdef", 10, 2), std::string("0123456789\n  abcdef\n"));
    }

    void sizes_have_units() {
        QCOMPARE(bytes_in_words(0), std::string("0 B"));
        QCOMPARE(bytes_in_words(1023), std::string("1023 B"));
        QCOMPARE(bytes_in_words(1024), std::string("1 KiB"));
        QCOMPARE(bytes_in_words(1024 * 1024 - 1), std::string("1 MiB"));
        QCOMPARE(bytes_in_words(1.5 * (1 << 20)), std::string("1.5 MiB"));
        QCOMPARE(bytes_in_words(512.4 * (1 << 30)), std::string("512 GiB"));
    }

    void durations_have_units() {
        QCOMPARE(duration_in_words(0ns), std::string("0 µs"));
        QCOMPARE(duration_in_words(250us), std::string("250 µs"));
        QCOMPARE(duration_in_words(999999ns), std::string("1 ms"));
        QCOMPARE(duration_in_words(1500ms), std::string("1.5 s"));
        QCOMPARE(duration_in_words(59990ms), std::string("1 min"));
        QCOMPARE(duration_in_words(184s), std::string("3 min 4 s"));
        QCOMPARE(duration_in_words(2h + 5min + 59s), std::string("2 h 5 min"));
        QCOMPARE(duration_in_words(99h), std::string("4 d 3 h"));
        QCOMPARE(duration_in_words(-2s), std::string("-2 s"));
    }

    void columns_are_aligned_by_characters_not_bytes() {
        Table table({{"N", Table::Align::right}, {"NAME"}, {"AGE", Table::Align::right}});
        table.add({"7", "é", "1 s"});
        table.add({"12", "long", "250 µs"});
        QCOMPARE(table.to_string(), std::string(" N  NAME     AGE\n"
                                                " 7  é        1 s\n"
                                                "12  long  250 µs\n"));
    }
};

QTEST_GUILESS_MAIN(TestWords)
#include "test_words.moc"
