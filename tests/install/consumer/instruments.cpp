// Telemetry, its log and its settings, in a program with a fork loop of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <signalbox/context.hpp>
#include <signalbox/events.hpp>
#include <signalbox/family.hpp>
#include <signalbox/log_sinks.hpp>
#include <signalbox/state_tracker.hpp>
#include <signalbox/telemetry.hpp>
#include <vector>

int main() {
    signalbox::Telemetry telemetry({.group = "consumer", .max_workers = 1});
    signalbox::Counter letters(telemetry, "letters_total", "Letters classified");
    signalbox::Duration scoring(telemetry, "scoring_duration_seconds", "Time to score a letter");
    signalbox::EventLog log(telemetry);
    signalbox::Family<signalbox::Counter> requests(telemetry, "requests_total", "Requests",
                                                   {"path", "status"}, {.limit = 100});
    enum class Client { handshaking, idle, busy, closing };
    signalbox::StateTracker clients(telemetry, "client", "Client connections",
                                    {"handshaking", "idle", "busy", "closing"});
    using namespace std::chrono_literals;
    signalbox::Context context(telemetry);
    context.describe_process();
    context.fact("version", "1.4.2");
    context.setting("rules", "/etc/consumer.rules", "command line");
    signalbox::Tunable<std::chrono::milliseconds> slow(
        context, "slow_request_threshold", 250ms,
        {.min = 1ms, .max = 60s, .help = "Requests that take longer are logged"});
    if (fork() == 0) {
        telemetry.attach(0);
        letters.add();
        { auto timer = scoring.time(); }
        requests.with("/letters", "200").add();
        auto client = clients.enter(Client::handshaking);
        client.move_to(Client::busy);
        {
            std::vector<std::unique_ptr<signalbox::LogSink>> sinks;
            sinks.push_back(std::make_unique<signalbox::StderrSink>());
            signalbox::LogWriter writer(telemetry, std::move(sinks));
            log.info("config_loaded", "Read 12 rules.", {{"rules", 12}});
            auto charge = log.action("charge", {{"customer", "c17"}, {"amount", 12.5}});
            charge.set("card", "visa");
            charge.failure("declined");
            if (slow.get() < 1s) log.info("slow_request", "It took 1 s.");
        }
        _exit(0);
    }
    int status = -1;
    wait(&status);
    return status;
}
