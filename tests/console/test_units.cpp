#include <QTest>

#include "console/models/text.hpp"
#include "console/models/units.hpp"

using namespace signalbox::console;

class TestUnits : public QObject {
    Q_OBJECT
private Q_SLOTS:
    void numbers_are_readable_data() {
        QTest::addColumn<QString>("shown");
        QTest::addColumn<QString>("expected");
        QTest::newRow("nanoseconds") << seconds(5.2e-8) << "52.0 ns";
        QTest::newRow("microseconds") << seconds(0.000123) << "123 µs";
        QTest::newRow("milliseconds") << seconds(0.00123) << "1.23 ms";
        QTest::newRow("rounds into the next unit") << seconds(0.99996) << "1.00 s";
        QTest::newRow("no time") << seconds(0) << "0 s";
        QTest::newRow("minutes") << seconds(125) << "2 min 5 s";
        QTest::newRow("not a number") << seconds(std::nan("")) << missing();
        QTest::newRow("bytes") << bytes(512) << "512 B";
        QTest::newRow("mebibytes") << bytes(48.0 * 1024 * 1024) << "48.0 MiB";
        QTest::newRow("gibibytes") << bytes(1.5 * 1024 * 1024 * 1024) << "1.50 GiB";
        QTest::newRow("count") << count(1234567) << "1,234,567";
        QTest::newRow("large rate") << rate(1234.5) << "1,234 /s";
        QTest::newRow("small rate") << rate(0.25) << "0.25 /s";
        QTest::newRow("percent") << percent(0.0123) << "1.23 %";
        QTest::newRow("hardly any percent") << percent(1e-6) << "< 0.01 %";
        QTest::newRow("days") << age(std::chrono::hours(50)) << "2 d 2 h";
        QTest::newRow("whole hours") << age(std::chrono::hours(3)) << "3 h";
        QTest::newRow("negative age") << age(std::chrono::seconds(-5)) << "0 s";
    }
    void numbers_are_readable() {
        QFETCH(QString, shown);
        QFETCH(QString, expected);
        shown.replace(QChar(0x00A0), u' ');
        if (QByteArray(QTest::currentDataTag()) == "large rate")
            QVERIFY(shown == "1,234 /s" || shown == "1,235 /s");
        else
            QCOMPARE(shown, expected);
    }

    void text_from_outside_is_one_harmless_line() {
        QCOMPARE(shown(std::string_view("a\nb\tc")), QStringLiteral("a\u21b5b c"));
        QCOMPARE(shown(std::string_view("a\x1b[31mb")), QStringLiteral("a\ufffd[31mb"));
        QCOMPARE(shown(QStringLiteral("abc\u202Edef")), QStringLiteral("abc\ufffddef"));
        QCOMPARE(shown(std::string_view("\xff")), QStringLiteral("\ufffd"));
        QCOMPARE(shown(QString(1000, u'x'), 10).size(), 11);
    }

    void tool_tips_show_markup_as_text() {
        QCOMPARE(plainToolTip(QStringLiteral("<b>x</b>")), QStringLiteral("<qt>&lt;b&gt;x&lt;/b&gt;</qt>"));
        QVERIFY(plainToolTip({}).isEmpty());
    }
};

QTEST_GUILESS_MAIN(TestUnits)
#include "test_units.moc"
