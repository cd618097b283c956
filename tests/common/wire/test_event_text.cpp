// Events as people and scripts read them.
#include <QtTest>
#include <cmath>
#include <random>

#include "common/wire/codec.hpp"
#include "common/wire/event_json.hpp"
#include "common/wire/readable.hpp"
#include "tests/common/wire/random_message.hpp"

using namespace signalbox::wire;
using namespace std::chrono_literals;

namespace {

constexpr const char* kAwkwardValues = "(a=\"b c\", d=\"say \\\"x\\\"\\\\\", e=\"\", f=-3, g=true, …)";
constexpr const char* kHostileJson[] = {"null", "[]", "7",
                                        R"({"severity":7,"kind":[],"fields":[1],"slot":-1})",
                                        R"({"duration_seconds":1e300,"fields":{"a":null,"b":{}},"pid":"x"})"};

Event charge(EventKind kind, const char* text) {
    return {.name = "charge",
            .text = text,
            .kind = kind,
            .duration = 12300us,
            .fields = {{"customer", std::string("c17")}, {"amount", 12.5}}};
}

}  // namespace

class TestEventText : public QObject {
    Q_OBJECT
private slots:
    void an_event_is_a_sentence_data() {
        QTest::addColumn<Event>("event");
        QTest::addColumn<QString>("words");
        QTest::newRow("failure") << charge(EventKind::failure, "declined")
                                 << "charge failed after 12.3 ms: declined (customer=c17, amount=12.5)";
        QTest::newRow("success") << charge(EventKind::success, "")
                                 << "charge succeeded after 12.3 ms (customer=c17, amount=12.5)";
        QTest::newRow("exception")
            << charge(EventKind::exception, "")
            << "charge ended with an exception after 12.3 ms (customer=c17, amount=12.5)";
        QTest::newRow("begin") << charge(EventKind::begin, "") << "charge begins (customer=c17, amount=12.5)";
        QTest::newRow("event") << charge(EventKind::event, "Paid.") << "Paid. (customer=c17, amount=12.5)";
        QTest::newRow("only fields") << charge(EventKind::event, "") << "(customer=c17, amount=12.5)";
        QTest::newRow("nothing") << Event{} << "";
        QTest::newRow("cut") << Event{.text = "Long", .cut = true} << "Long (…)";
        QTest::newRow("values") << Event{.fields = {{"a", std::string("b c")},
                                                    {"d", std::string("say \"x\"\\")},
                                                    {"e", std::string()},
                                                    {"f", std::int64_t{-3}},
                                                    {"g", true}},
                                         .cut = true}
                                << kAwkwardValues;
    }
    void an_event_is_a_sentence() {
        QFETCH(Event, event);
        QTEST(QString::fromStdString(event_in_words(event)), "words");
    }

    void durations_of_any_size_have_words() {
        QVERIFY(duration_in_words(nanoseconds::max()).starts_with("106751 d"));
        QVERIFY(duration_in_words(nanoseconds::min()).starts_with("-106751 d"));
    }

    void times_have_the_digits_asked_for() {
        const WallTime time(1783416600s + 250001002ns);
        QCOMPARE(time_text(time), std::string("2026-07-07T09:30:00.250Z"));
        QCOMPARE(time_text(time, 6), std::string("2026-07-07T09:30:00.250001Z"));
        QCOMPARE(time_text(WallTime(-1ns), 9), std::string("1969-12-31T23:59:59.999999999Z"));
    }

    void json_keeps_types_and_replaces_what_is_not_utf8() {
        Event event = charge(EventKind::failure, "no\xff");
        event.fields.push_back({"tries", std::int64_t{3}});
        event.fields.push_back({"again", true});
        event.fields.push_back({"ratio", NAN});
        const auto json = nlohmann::json::parse(event_json(event).dump());
        QVERIFY(json["text"] == "no\xef\xbf\xbd" && json["kind"] == "failure" && json["cut"] == false);
        QVERIFY(json["slot"].is_null() && json["duration_seconds"] == 0.0123);
        const auto& fields = json["fields"];
        QVERIFY(fields["customer"] == "c17" && fields["amount"].is_number_float());
        QVERIFY(fields["tries"].is_number_integer() && fields["again"] == true && fields["ratio"].is_null());
        QVERIFY(event_json(charge(EventKind::begin, ""))["duration_seconds"].is_null());
    }

    void json_there_and_back_is_the_same_event() {
        std::mt19937_64 random(3);
        int events = 0;
        while (events < 2000) {
            const Message message = random_message(random);
            if (!std::holds_alternative<Events>(message)) continue;
            for (Event event : std::get<Events>(message).events) {
                ++events;
                const auto json = nlohmann::json::parse(event_json(event).dump());
                const Event back = event_from_json(json);
                QCOMPARE(event_in_words({.name = back.name, .text = back.text, .kind = back.kind}),
                         event_in_words({.name = event.name, .text = event.text, .kind = event.kind}));
                QVERIFY(back.severity == event.severity && back.slot == event.slot && back.cut == event.cut);
            }
        }
    }

    void hostile_json_gives_some_event() {
        for (const char* text : kHostileJson) {
            const Event event = event_from_json(nlohmann::json::parse(text));
            QVERIFY(event.name.empty());
            event_in_words(event);
        }
    }
};

QTEST_GUILESS_MAIN(TestEventText)
#include "test_event_text.moc"
