#include "agent/examples/mailroom/letters.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "agent/examples/mailroom/classifier.hpp"
#include "signalbox/distinct.hpp"
#include "signalbox/events.hpp"
#include "signalbox/heavy_hitters.hpp"
#include "signalbox/state_tracker.hpp"

namespace mailroom {

using signalbox::Counter;
using signalbox::Distribution;
using signalbox::Duration;
using signalbox::EventLog;
using signalbox::Request;
using signalbox::Response;
using signalbox::StateTracker;
using signalbox::Telemetry;

namespace {

enum class Stage { parsing, scoring, answering };

struct Instruments {
    explicit Instruments(Telemetry& telemetry)
        : log(telemetry),
          ham(telemetry, "letters_total", "Letters classified", {{"verdict", "ham"}}),
          spam(telemetry, "letters_total", "Letters classified", {{"verdict", "spam"}}),
          scoring(telemetry, "scoring_duration_seconds", "Time to parse and score a letter"),
          size(telemetry, "letter_bytes", "Size of the letters", "bytes"),
          senders(telemetry, "senders", "Different senders of letters"),
          subjects(telemetry, "subjects", "The most frequent subjects"),
          letters(telemetry, "letter", "Letters", {"parsing", "scoring", "answering"}) {}

    EventLog log;
    Counter ham;
    Counter spam;
    Duration scoring;
    Distribution size;
    signalbox::Distinct senders;
    signalbox::HeavyHitters subjects;
    StateTracker letters;
};

Score score_letter(const std::string& letter, Instruments& instruments, StateTracker::Transitor& stage) {
    const auto timer = instruments.scoring.time();
    const Message message = parse_message(letter);
    instruments.senders.add(message.field("From"));
    instruments.subjects.add(message.field("Subject"));
    stage.move_to(Stage::scoring);
    return classify(message);
}

Response answer(const Score& score) {
    const nlohmann::json document = {{"score", std::round(score.probability * 1e4) / 1e4},
                                     {"verdict", score.spam ? "spam" : "ham"},
                                     {"reasons", score.reasons}};
    return Response::json(200, document.dump());
}

}  // namespace

void add_letters(signalbox::Router& router, Telemetry& telemetry) {
    router.post("/classify", [instruments = Instruments(telemetry)](const Request& request) mutable {
        auto action =
            instruments.log.action("classify", {{"bytes", request.body.size()}, {"from", request.peer}});
        if (request.body.empty()) {
            action.failure("the body is empty");
            return Response::json(400, R"({"error":"the body has to be a message"})");
        }
        auto stage = instruments.letters.enter(Stage::parsing);
        const Score score = score_letter(request.body, instruments, stage);
        stage.move_to(Stage::answering);
        (score.spam ? instruments.spam : instruments.ham).add();
        instruments.size.record(request.body.size());
        action.set("verdict", score.spam ? "spam" : "ham");
        action.set("score", score.probability);
        return answer(score);
    });
}

}  // namespace mailroom
