// The text of a configuration file: places, comments, and what is no JSON.
#include <QTest>

#include "agent/configuration/json_document.hpp"

using namespace signalbox::configuration;

class DocumentTest : public QObject {
    Q_OBJECT
private slots:
    void everything_knows_its_place();
    void comments_move_nothing();
    void what_is_wrong_is_said_with_its_place_data();
    void what_is_wrong_is_said_with_its_place();
    void depth_and_number_are_bounded();
};

namespace {

QString place(Place place) {
    return QString("%1:%2").arg(place.line).arg(place.column);
}

}  // namespace

void DocumentTest::everything_knows_its_place() {
    const Document document = read_document(
        "{\n"
        "  \"a\": 12,\"bc\":-1.5e3 ,\n"
        "  \"d\": [true, \"x\\\"y\", {\"e\": null}],\n"
        "\t\"f\" : \"\"}");
    QVERIFY(document.complaints.empty());
    const auto& members = document.root.members;
    QCOMPARE(members.size(), 4u);
    QCOMPARE(place(members[0].name_place), QString("2:3"));
    QCOMPARE(place(members[0].place), QString("2:8"));
    QCOMPARE(members[0].text, std::string("12"));
    QCOMPARE(place(members[1].name_place), QString("2:11"));
    QCOMPARE(place(members[1].place), QString("2:16"));
    const auto& items = members[2].items;
    QCOMPARE(items.size(), 3u);
    QCOMPARE(place(items[0].place), QString("3:9"));
    QCOMPARE(place(items[1].place), QString("3:15"));
    QCOMPARE(items[1].text, std::string("x\"y"));
    QCOMPARE(place(items[2].members[0].name_place), QString("3:24"));
    QCOMPARE(place(items[2].members[0].place), QString("3:29"));
    QCOMPARE(place(members[3].place), QString("4:8"));
}

void DocumentTest::comments_move_nothing() {
    const Document document = read_document(
        "// {\"no\": 1}\n"
        "{ /* \"a\": 1, // */ \"b\": // the value\n"
        " /**/ 7 /* 8 */ }\n// the end");
    QVERIFY(document.complaints.empty());
    QCOMPARE(document.root.members.size(), 1u);
    QCOMPARE(place(document.root.place), QString("2:1"));
    QCOMPARE(place(document.root.members[0].name_place), QString("2:20"));
    QCOMPARE(place(document.root.members[0].place), QString("3:7"));
}

void DocumentTest::what_is_wrong_is_said_with_its_place_data() {
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QString>("where");
    QTest::addColumn<QString>("what");
    const auto row = [](const char* name, const char* text, const char* where, const char* what) {
        QTest::newRow(name) << QByteArray(text) << where << what;
    };
    row("nothing", "", "1:1", "this is not JSON: ");
    row("cut off", "{\"workers\": 4, \"listeners\": {", "1:30", "unexpected end of input");
    row("cut off in a text", "{\"name\": \"mai", "1:14", "missing closing quote");
    row("cut off in a comment", "{\"a\": 1 /* x", "1:13", "missing closing '*/'");
    row("a comma too many", "{\"a\": 1,\n}", "2:1", "unexpected '}'");
    row("two values", "{} {}", "1:4", "expected end of input");
    row("not UTF-8", "{\"a\": \"\xff\"}", "1:8", "ill-formed UTF-8");
    row("no object", "\n [1]", "2:2", "a list is no configuration; write { … }");
    row("a name twice", "{\"a\": 1,\n \"a\": 2}", "2:2", "'a' is given already at 1:2");
}

void DocumentTest::what_is_wrong_is_said_with_its_place() {
    QFETCH(QByteArray, text);
    QFETCH(QString, where);
    QFETCH(QString, what);
    const Document document = read_document({text.constData(), static_cast<std::size_t>(text.size())});
    QCOMPARE(document.complaints.size(), 1u);
    QCOMPARE(place(document.complaints[0].place), where);
    QVERIFY2(document.complaints[0].text.find(what.toStdString()) != std::string::npos,
             document.complaints[0].text.c_str());
}

void DocumentTest::depth_and_number_are_bounded() {
    const Document deep = read_document(std::string(1'000'000, '['));
    QCOMPARE(deep.complaints.size(), 1u);
    QVERIFY(deep.complaints[0].text.find("16 levels deep") != std::string::npos);
    std::string many = "{\"a\": [0";
    for (int i = 0; i < 20'000; ++i)
        many += ",0";
    const Document wide = read_document(many + "]}");
    QCOMPARE(wide.complaints.size(), 1u);
    QVERIFY(wide.complaints[0].text.find("more than 10000 values") != std::string::npos);
}

QTEST_APPLESS_MAIN(DocumentTest)
#include "test_document.moc"
