#include "tests/console/fakeagent/synthetic_group.hpp"

#include <algorithm>
#include <cmath>

namespace signalbox::test {
namespace {

using wire::WorkerState;

constexpr const char* kActivities[] = {"GET /inbox", "GET /messages/1842", "POST /messages",
                                       "GET /search?q=invoice <b>due</b>"};

double wave(std::uint64_t number, double period, double phase) {
    return std::sin(2 * M_PI * static_cast<double>(number) / period + phase);
}

}  // namespace

SyntheticGroup::SyntheticGroup(unsigned workers, wire::WallTime start_at) : now_(start_at), target_(workers) {
    for (std::uint32_t slot = 0; slot < workers; ++slot) {
        auto& process = start(slot);
        process.worker.state = WorkerState::ready;
        process.worker.started = start_at - std::chrono::minutes(47 + 13 * slot);
        process.worker.resident_bytes = (44ull + 9 * slot) << 20;
        process.age = 1000;
    }
    pending_ = {};
    say(wire::Severity::info, wire::Event::kGroup, "group_started",
        "The group serves with " + std::to_string(workers) + " workers.");
}

SyntheticGroup::Process& SyntheticGroup::start(std::uint32_t slot) {
    Process process;
    process.worker.slot = slot;
    process.worker.generation = nextGeneration_++;
    process.worker.pid = nextPid_;
    nextPid_ += 7;
    process.worker.state = WorkerState::starting;
    process.worker.started = now_;
    process.worker.resident_bytes = 24ull << 20;
    process.worker.open_files = 19;
    process.worker.queues = {
        {.listener = 0, .depth = 0, .capacity = 1024, .oldest = {}, .accepted = 0, .shed = 0}};
    say(wire::Severity::info, slot, "worker_starting",
        "pid " + std::to_string(process.worker.pid) + " was forked.");
    processes_.push_back(process);
    return processes_.back();
}

wire::Directory SyntheticGroup::directory() const {
    wire::Directory directory;
    for (const auto& [index, name] :
         {std::pair(class2xx, "2xx"), {class3xx, "3xx"}, {class4xx, "4xx"}, {class5xx, "5xx"}})
        directory.instruments.push_back({.index = index,
                                         .kind = wire::InstrumentKind::counter,
                                         .aggregation = wire::Aggregation::sum,
                                         .name = "http_requests_total",
                                         .unit = "",
                                         .help = "Requests answered",
                                         .labels = {{"class", name}}});
    directory.instruments.push_back({.index = connections,
                                     .kind = wire::InstrumentKind::gauge,
                                     .aggregation = wire::Aggregation::sum,
                                     .name = "connections_open",
                                     .unit = "",
                                     .help = "Open connections",
                                     .labels = {}});
    directory.instruments.push_back({.index = duration,
                                     .kind = wire::InstrumentKind::distribution,
                                     .aggregation = wire::Aggregation::sum,
                                     .name = "http_request_duration_seconds",
                                     .unit = "seconds",
                                     .help = "From the request's first byte to the answer's last",
                                     .labels = {}});
    return directory;
}

void SyntheticGroup::advance(Process& process, double) {
    auto& worker = process.worker;
    ++process.age;
    ++process.stateAge;
    const auto become = [&](WorkerState state, const char* event, const std::string& text) {
        worker.state = state;
        process.stateAge = 0;
        say(wire::Severity::info, worker.slot, event, text);
    };
    const std::string pid = "pid " + std::to_string(worker.pid);
    if (worker.state == WorkerState::starting && process.stateAge >= 2) {
        become(WorkerState::ready, "worker_ready", pid + " accepts connections.");
        for (auto& other : processes_)
            if (&other != &process && other.worker.slot == worker.slot &&
                other.worker.state == WorkerState::ready) {
                other.worker.state = WorkerState::draining;
                other.stateAge = 0;
                say(wire::Severity::info, worker.slot, "worker_draining",
                    "pid " + std::to_string(other.worker.pid) + " accepts nothing new.");
            }
    } else if (worker.state == WorkerState::draining && process.stateAge >= 4) {
        become(WorkerState::dead, "worker_exited", pid + " ended: exit status 0.");
    }
}

wire::Series SyntheticGroup::work(Process& process, double length) {
    auto& worker = process.worker;
    wire::Series series{.source = wire::Series::Source::worker,
                        .slot = worker.slot,
                        .generation = worker.generation,
                        .samples = {}};
    const bool serves = worker.state == WorkerState::ready;
    worker.heartbeat_age = worker.state == WorkerState::stalled
                               ? worker.heartbeat_age + std::chrono::seconds(1)
                               : std::chrono::milliseconds(5 + random_() % 40);
    const bool incident = number_ % 240 > 190 && number_ % 240 < 215;
    if (!serves) {
        worker.connections =
            worker.state == WorkerState::draining ? std::max(0, 12 - 4 * process.stateAge) : 0;
        worker.queues[0].depth =
            worker.state == WorkerState::stalled ? std::min(worker.queues[0].depth + 3, 1024u) : 0;
        worker.queues[0].oldest = worker.queues[0].depth ? worker.heartbeat_age : std::chrono::nanoseconds{0};
        if (worker.state != WorkerState::stalled)
            worker.activity.clear();
        else
            worker.activity_age = worker.heartbeat_age;
        return series;
    }
    const double load =
        310 + 60 * wave(number_, 180, worker.slot) + 25 * wave(number_, 23, 2.0 * worker.slot);
    const auto requests =
        static_cast<std::uint64_t>(std::max(0.0, (load + static_cast<double>(random_() % 40)) * length));
    const std::uint64_t failed = incident ? requests / 18 : random_() % 40 == 0 ? 1 : 0;
    const std::uint64_t wrong = requests / 45 + random_() % 3;
    const std::uint64_t moved = requests / 16;
    const auto good = requests - std::min(requests, failed + wrong + moved);
    for (const auto& [index, count] :
         {std::pair(class2xx, good), {class3xx, moved}, {class4xx, wrong}, {class5xx, failed}})
        if (count > 0) series.samples.push_back({index, wire::CounterDelta{count}});

    std::lognormal_distribution<double> quick(std::log(0.0018), 0.55);
    std::lognormal_distribution<double> slow(std::log(incident ? 0.24 : 0.030), 0.5);
    sketch::ExponentialHistogram latency(5);
    for (std::uint64_t i = 0; i < requests; ++i)
        latency.record(random_() % 100 < (incident ? 12u : 2u) ? slow(random_) : quick(random_));
    series.samples.push_back({connections, wire::GaugeValue{static_cast<double>(worker.connections)}});
    series.samples.push_back({duration, latency.reduced_to(5)});

    worker.requests += requests;
    worker.connections = 28 + static_cast<std::uint32_t>(random_() % 9);
    worker.open_files = 19 + worker.connections;
    worker.resident_bytes += (random_() % 48) << 10;
    auto& queue = worker.queues[0];
    queue.accepted += requests / 8;
    queue.depth = incident ? 9 + random_() % 14 : random_() % 6 == 0 ? 1 + random_() % 3 : 0;
    queue.oldest = std::chrono::microseconds(queue.depth * (incident ? 5200 : 400));
    const bool busy = random_() % 3 != 0;
    worker.activity = busy ? kActivities[random_() % 4] : "";
    worker.activity_age = std::chrono::microseconds(busy ? 300 + random_() % 4000 : 0);
    return series;
}

void SyntheticGroup::addUp(const wire::Series& series) {
    for (const auto& sample : series.samples) {
        auto found = std::find_if(totals_.begin(), totals_.end(),
                                  [&](const auto& t) { return t.instrument == sample.instrument; });
        if (found == totals_.end()) {
            totals_.push_back(sample);
            continue;
        }
        if (const auto* delta = std::get_if<wire::CounterDelta>(&sample.value))
            std::get<wire::CounterDelta>(found->value).increase += delta->increase;
        else if (const auto* histogram = std::get_if<sketch::ExponentialHistogram>(&sample.value))
            std::get<sketch::ExponentialHistogram>(found->value).merge(*histogram);
    }
}

wire::Tick SyntheticGroup::next(std::chrono::nanoseconds length) {
    now_ += length;
    sinceStart_ += length;
    ++number_;
    std::erase_if(processes_,
                  [](const auto& p) { return p.worker.state == WorkerState::dead && p.stateAge >= 3; });
    wire::Tick tick{.number = number_,
                    .absolute = false,
                    .end = now_,
                    .length = length,
                    .target_workers = target_,
                    .degraded = false,
                    .workers = {},
                    .series = {}};
    const double seconds = std::chrono::duration<double>(length).count();
    for (auto& process : processes_) {
        advance(process, seconds);
        auto series = work(process, seconds);
        addUp(series);
        tick.workers.push_back(process.worker);
        if (!series.samples.empty()) tick.series.push_back(std::move(series));
    }
    return tick;
}

wire::Tick SyntheticGroup::absolute() const {
    wire::Tick tick{.number = number_,
                    .absolute = true,
                    .end = now_,
                    .length = sinceStart_,
                    .target_workers = target_,
                    .degraded = false,
                    .workers = {},
                    .series = {}};
    for (const auto& process : processes_)
        tick.workers.push_back(process.worker);
    tick.series.push_back(
        {.source = wire::Series::Source::departed, .slot = 0, .generation = 0, .samples = totals_});
    return tick;
}

wire::Events SyntheticGroup::takeEvents() {
    return std::exchange(pending_, {});
}

const wire::Worker* SyntheticGroup::serving(std::uint32_t slot) const {
    for (const auto& process : processes_)
        if (process.worker.slot == slot &&
            (process.worker.state == WorkerState::ready || process.worker.state == WorkerState::stalled))
            return &process.worker;
    return nullptr;
}

void SyntheticGroup::cycle(std::uint32_t slot) {
    say(wire::Severity::info, slot, "cycle_requested", "An operator asked for a replacement.");
    start(slot);
}

void SyntheticGroup::scale(unsigned workers) {
    for (auto slot = target_; slot < workers; ++slot)
        start(slot);
    for (auto& process : processes_)
        if (process.worker.slot >= workers && process.worker.state == WorkerState::ready) {
            process.worker.state = WorkerState::draining;
            process.stateAge = 0;
        }
    target_ = workers;
}

void SyntheticGroup::setState(std::uint32_t slot, WorkerState state) {
    for (auto& process : processes_)
        if (process.worker.slot == slot && process.worker.state != WorkerState::dead) {
            process.worker.state = state;
            process.stateAge = 0;
            if (state == WorkerState::stalled) {
                process.worker.activity = "POST /export?format=pdf";
                say(wire::Severity::warning, slot, "worker_stalled",
                    "The event loop has not beaten for 500 ms at POST /export?format=pdf.");
            }
        }
}

void SyntheticGroup::say(wire::Severity severity, std::uint32_t slot, std::string name, std::string text) {
    wire::Event event{.sequence = nextEvent_++,
                      .time = now_,
                      .severity = severity,
                      .slot = slot,
                      .generation = 0,
                      .pid = 0,
                      .name = std::move(name),
                      .text = std::move(text)};
    pending_.events.push_back(std::move(event));
}

}  // namespace signalbox::test
