#include <QTest>

#include "common/wire/utf8.hpp"

using namespace signalbox::wire;

class TestUtf8 : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void well_formed_text_is_told_from_the_rest_data() {
        QTest::addColumn<std::string>("text");
        QTest::addColumn<bool>("well_formed");
        QTest::newRow("empty") << std::string() << true;
        QTest::newRow("ASCII with NUL") << std::string("a\0b", 3) << true;
        QTest::newRow("two bytes, lowest") << std::string("\xc2\x80") << true;
        QTest::newRow("two bytes, overlong") << std::string("\xc1\xbf") << false;
        QTest::newRow("three bytes, lowest") << std::string("\xe0\xa0\x80") << true;
        QTest::newRow("three bytes, overlong") << std::string("\xe0\x9f\xbf") << false;
        QTest::newRow("before the surrogates") << std::string("\xed\x9f\xbf") << true;
        QTest::newRow("surrogate") << std::string("\xed\xa0\x80") << false;
        QTest::newRow("four bytes, lowest") << std::string("\xf0\x90\x80\x80") << true;
        QTest::newRow("four bytes, overlong") << std::string("\xf0\x8f\xbf\xbf") << false;
        QTest::newRow("the last character") << std::string("\xf4\x8f\xbf\xbf") << true;
        QTest::newRow("beyond the last") << std::string("\xf4\x90\x80\x80") << false;
        QTest::newRow("continuation alone") << std::string("\x80") << false;
        QTest::newRow("cut off") << std::string("a\xe2\x82") << false;
        QTest::newRow("third byte wrong") << std::string("\xe2\x82\x41") << false;
    }
    void well_formed_text_is_told_from_the_rest() {
        QFETCH(std::string, text);
        QFETCH(bool, well_formed);
        QCOMPARE(is_utf8(text), well_formed);
        QVERIFY(is_utf8(to_utf8(text)));
        QCOMPARE(to_utf8(text) == text, well_formed);
    }

    void each_stray_byte_is_replaced() {
        QCOMPARE(to_utf8("a\xe2\x82z"), std::string("a\xEF\xBF\xBD\xEF\xBF\xBDz"));
    }

    void text_is_cut_between_characters() {
        QCOMPARE(to_utf8("aé", 3), std::string("aé"));
        QCOMPARE(to_utf8("aéb", 3), std::string("aé"));
        QCOMPARE(to_utf8("aé", 2), std::string("a"));
        QCOMPARE(to_utf8("é", 0), std::string());
        QCOMPARE(to_utf8("\xff", 2), std::string());
    }
};

QTEST_GUILESS_MAIN(TestUtf8)
#include "test_utf8.moc"
