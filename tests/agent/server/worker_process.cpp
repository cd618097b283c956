#include "worker_process.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>
#include <thread>

#include "agent/server/http_service.hpp"
#include "agent/server/reuseport.hpp"
#include "agent/server/stream_service.hpp"
#include "agent/server/transport/transport.hpp"
#include "agent/server/wakeups.hpp"
#include "agent/telemetry/collector.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/segment.hpp"
#include "signalbox/pools.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

template <class Visit>
void for_each_sample(Telemetry& telemetry, std::string_view name, const Labels& labels, Visit visit) {
    const telemetry::SegmentView view(telemetry.segment().descriptor());
    telemetry::Collector collector(view);
    const auto instruments = collector.new_instruments();
    const auto wanted = std::ranges::find_if(instruments, [&](const auto& instrument) {
        return instrument.name == name && instrument.labels == labels;
    });
    if (wanted == instruments.end()) return;
    for (const wire::Series& series : collector.collect().series)
        for (const wire::Sample& sample : series.samples)
            if (sample.instrument == wanted->index) visit(sample);
}

}  // namespace

WorkerProcesses::WorkerProcesses(Router router, ListenerOptions options, const std::string& address,
                                 std::chrono::milliseconds drain_deadline)
    : WorkerProcesses(options, address, drain_deadline) {
    listener_->protocol = server::make_http(telemetry_, std::move(router), options);
}

WorkerProcesses::WorkerProcesses(StreamHandler handler, ListenerOptions options, const std::string& address,
                                 std::chrono::milliseconds drain_deadline)
    : WorkerProcesses(options, address, drain_deadline) {
    listener_->protocol = server::make_stream_protocol(telemetry_, std::move(handler), options);
}

WorkerProcesses::WorkerProcesses(const ListenerOptions& options, const std::string& address,
                                 std::chrono::milliseconds drain_deadline)
    : telemetry_(TelemetryOptions{.group = "test", .max_workers = 2, .instruments = 64}),
      listener_(server::bind_listener(address, options, 0)) {
    server::bind_slots(*listener_, 2);
    listener_->transport = server::make_transport(options, telemetry_);
    config_.listeners = {listener_};
    config_.metrics = server::make_server_metrics(telemetry_);
    config_.wakeups = std::make_shared<const server::Wakeups>(2);
    config_.drain_deadline = drain_deadline;
    config_.refresh = [this] { telemetry_.refresh(); };
}

std::string WorkerProcesses::serve_datagrams(const std::string& address, DatagramHandler handler,
                                             DatagramOptions options) {
    config_.datagrams = {
        server::bind_datagram(address, std::move(handler), std::move(options), 2, telemetry_)};
    return datagrams().address;
}

WorkerProcesses::~WorkerProcesses() {
    for (const auto& [seat, pid] : running_) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    if (listener_->is_unix) ::unlink(listener_->address.substr(5).c_str());
}

void WorkerProcesses::start_unready(unsigned index) {
    telemetry::Seat& place = *telemetry_.segment().seat(index);
    place.phase.store(static_cast<std::uint32_t>(telemetry::Phase::starting));
    place.generation.store(++generations_);
    place.slot.store(index / 2);
    const pid_t pid = ::fork();
    if (pid == 0) {
        telemetry_.attach(index);
        telemetry::SeatWriter writer(telemetry_.segment(), index);
        int status = EX_SOFTWARE;
        try {
            status = server::run_worker(writer, config_);
        } catch (const std::exception&) {
        }
        ::_exit(status);
    }
    place.pid.store(static_cast<std::uint32_t>(pid));
    running_[index] = pid;
}

void WorkerProcesses::start(unsigned index) {
    start_unready(index);
    for (int i = 0; i < 3000 && !is_ready(index); ++i)
        std::this_thread::sleep_for(10ms);
    if (!is_ready(index)) throw std::runtime_error("the worker does not become ready");
}

void WorkerProcesses::signal(unsigned index, int number) {
    ::kill(running_.at(index), number);
}

void WorkerProcesses::pause(unsigned index) {
    signal(index, SIGSTOP);
    int status = 0;
    ::waitpid(running_.at(index), &status, WUNTRACED);
}

int WorkerProcesses::wait(unsigned index) {
    const pid_t pid = running_.at(index);
    for (int i = 0; i < 3000; ++i) {
        int status = 0;
        if (::waitpid(pid, &status, WNOHANG) == pid) {
            running_.erase(index);
            telemetry_.segment().seat(index)->phase.store(0);
            telemetry_.segment().seat(index)->pid.store(0);
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        std::this_thread::sleep_for(10ms);
    }
    return -1;
}

int WorkerProcesses::stop(unsigned index) {
    signal(index, SIGTERM);
    return wait(index);
}

const telemetry::Seat& WorkerProcesses::seat(unsigned index) {
    return *telemetry_.segment().seat(index);
}

std::uint64_t WorkerProcesses::waiting(unsigned index) {
    const telemetry::QueueRecord& queue = seat(index).queues[0];
    const std::uint64_t popped = queue.popped.load();
    return queue.pushed.load() - popped;
}

bool WorkerProcesses::is_ready(unsigned index) {
    return seat(index).phase.load() == static_cast<std::uint32_t>(telemetry::Phase::ready);
}

sketch::ExponentialHistogram WorkerProcesses::distribution(std::string_view name) {
    sketch::ExponentialHistogram sum;
    for_each_sample(telemetry_, name, {}, [&](const wire::Sample& sample) {
        sum.merge(std::get<sketch::ExponentialHistogram>(sample.value));
    });
    return sum;
}

std::uint64_t count_of(Telemetry& telemetry, std::string_view name, const Labels& labels) {
    std::uint64_t sum = 0;
    for_each_sample(telemetry, name, labels, [&](const wire::Sample& sample) {
        sum += std::get<wire::CounterDelta>(sample.value).increase;
    });
    return sum;
}

void WorkerProcesses::rotate_ticket_keys() {
    rotations_ += 1;
    const std::chrono::nanoseconds ahead = rotations_ * listener_->options.tls->ticket_rotation;
    listener_->transport->ticket_keys->rotate_if_due(telemetry::monotonic_ns() +
                                                     static_cast<std::uint64_t>(ahead.count()));
}

std::vector<std::string> WorkerProcesses::events(std::string_view name, unsigned index) {
    const telemetry::SegmentView view(telemetry_.segment().descriptor());
    std::uint64_t next = 0;
    std::vector<telemetry::RawEvent> all;
    view.read_seat_events(index, next, all);
    std::vector<std::string> texts;
    for (const telemetry::RawEvent& event : all)
        if (event.name == name) texts.push_back(event.text);
    return texts;
}

namespace {

awaitable<Response> slow(Request request) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    timer.expires_after(std::chrono::milliseconds(std::stoi(request.query_value("ms").value_or("50"))));
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_return Response::text("slow " + request.peer + "\n");
}

awaitable<Response> fail_later(Request) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    timer.expires_after(1ms);
    co_await timer.async_wait(boost::asio::use_awaitable);
    throw std::runtime_error("the coroutine's reason");
}

awaitable<Response> at_once(Request request) {
    co_return Response::text(request.query);
}

Response spin(const Request& request) {
    const auto until = std::chrono::steady_clock::now() +
                       std::chrono::milliseconds(std::stoi(request.query_value("ms").value_or("100")));
    while (std::chrono::steady_clock::now() < until) {
    }
    return Response::text("spun\n");
}

}  // namespace

Router test_router() {
    Router router;
    router.get("/hello", [](const Request&) { return Response::text("Hello!\n"); });
    router.post("/echo", [](const Request& request) { return Response::text(request.body); });
    router.get("/query", [](const Request& request) { return Response::text(request.query); });
    router.get("/pid", [](const Request&) { return Response::text(std::to_string(::getpid())); });
    router.get("/large", [](const Request&) { return Response::text(std::string(8 << 20, 'x')); });
    router.get("/fail", [](const Request&) -> Response { throw std::runtime_error("the handler's reason"); });
    router.get("/split", [](const Request&) {
        Response response = Response::text("x");
        response.headers.add("X-Evil", "a\r\nSet-Cookie: b");
        return response;
    });
    router.get("/bye", [](const Request&) {
        Response response = Response::text("Bye.\n");
        response.close = true;
        return response;
    });
    router.get("/spin", spin);
    router.get("/slow", slow);
    router.get("/full", [](const Request&) -> Response { throw PoolFull("the pool is full"); });
    router.get("/fail-later", fail_later);
    router.get("/at-once", at_once);
    return router;
}
