#include "agent/server/worker.hpp"

#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <memory>
#include <vector>

#include "agent/server/datagram/datagram_service.hpp"
#include "agent/server/direct_acceptor.hpp"
#include "agent/server/intake.hpp"
#include "agent/server/loop_acceptor.hpp"
#include "agent/server/open_files.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

namespace {

using namespace std::chrono_literals;

constexpr auto kBeat = DeadlineWheel::kTick;
constexpr unsigned kBeatsPerSecond = 10;
/// Whoever is later was kept by something else.
constexpr auto kOnTime = 1ms;
/// A client that has just had an answer may have the next request on its way.
constexpr auto kQuietWhenDraining = 500ms;

/// A listener's queue and the two threads' ends of it.
struct Entrance {
    Entrance(WorkerContext& context, const std::shared_ptr<Listener>& shared, HandshakeThread& handshakes)
        : listener(*shared),
          metrics(context.metrics),
          queue(shared->options.queue_capacity, context.seat.queue(shared->index),
                context.wakeups->of(context.seat.slot())),
          intake(context, shared, queue, handshakes) {}

    ~Entrance() {
        acceptor.reset();
        for (; const auto socket = queue.pop(); metrics.failed_worker_ended.add())
            ::close(socket->descriptor);
    }

    void accept(WorkerContext& context) {
        intake.woken();
        if (listener.options.accept == Accept::queue)
            acceptor = std::make_unique<DirectAcceptor>(context, listener, queue, intake);
        else
            acceptor = std::make_unique<LoopAcceptor>(context, listener, queue);
    }

    void woken() {
        intake.woken();
        if (acceptor) acceptor->woken();
    }

    const Listener& listener;
    ServerMetrics& metrics;
    AcceptQueue queue;
    Intake intake;
    std::unique_ptr<Acceptor> acceptor;
};

class Worker {
public:
    Worker(telemetry::SeatWriter& seat, const WorkerConfig& config)
        : config_(config),
          context_(seat, *config.metrics, config.wakeups),
          signals_(context_.io, SIGTERM, SIGQUIT),
          beat_(context_.io),
          custom_(context_, config.custom) {
        for (const auto& listener : config.listeners)
            entrances_.push_back(std::make_unique<Entrance>(context_, listener, handshakes_));
        for (const auto& listener : config.datagrams)
            datagrams_.push_back(std::make_unique<DatagramService>(context_, listener));
        if (config.reopen_logs) signals_.add(SIGUSR1);
    }

    int run() {
        std::signal(SIGPIPE, SIG_IGN);  // sendfile has no MSG_NOSIGNAL
        wait_for_signal();
        beat();
        custom_.start([this] { open(); });
        context_.io.run();
        return 0;
    }

private:
    void open() {
        if (context_.draining) return;  // before it was ready
        for (const auto& entrance : entrances_)
            entrance->accept(context_);
        for (const auto& service : datagrams_)
            service->start();
        opened_ = true;
        show(telemetry::Phase::ready);
    }

    void show(telemetry::Phase phase) {
        context_.seat.set_phase(phase);
        if (config_.notify_arbiter) config_.notify_arbiter();
    }

    void wait_for_signal() {
        signals_.async_wait([this](const boost::system::error_code& ec, int signal) {
            if (ec) return;
            if (signal == SIGQUIT) return context_.io.stop();
            if (signal == SIGUSR1)
                config_.reopen_logs();
            else if (!context_.draining)
                drain();
            wait_for_signal();
        });
    }

    void beat() {
        const std::uint64_t now = telemetry::monotonic_ns();
        context_.seat.beat(now);
        if (beats_ > 0) note_lateness(now);
        context_.deadlines.advance(now);
        context_.lingering.sweep(now);
        for (const auto& entrance : entrances_)
            if (entrance->queue.take_shortage()) context_.make_room(now);
        if (beats_++ % kBeatsPerSecond == 0) {
            context_.seat.set_open_files(count_open_files());
            if (config_.refresh) config_.refresh();
            for (const auto& entrance : entrances_)
                entrance->intake.look_after(now);
        }
        for (const auto& entrance : entrances_)
            if (entrance->acceptor) entrance->acceptor->look_after(now);
        for (const auto& service : datagrams_)
            service->look_after(now);
        for (const auto& former : former_acceptors_)
            former->look_after(now);
        std::erase_if(former_acceptors_, [](const auto& former) { return former->finished(); });
        if (context_.draining && context_.seat.resumptions() != resumptions_) resume();
        if (context_.draining && drained(now)) return context_.io.stop();
        beat_.expires_after(kBeat);
        beat_.async_wait([this](const boost::system::error_code& ec) {
            if (!ec) beat();
        });
    }

    /// By its own threads, or by another worker.
    void woken() {
        for (const auto& entrance : entrances_)
            entrance->woken();
    }

    void note_lateness(std::uint64_t now) {
        const auto late =
            std::max<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - beat_.expiry(), 0ns);
        if (late < kOnTime) context_.idle_ns = now;
        context_.lateness.beat(static_cast<std::uint64_t>(late.count()));
    }

    void drain() {
        context_.draining = true;
        resumptions_ = context_.seat.resumptions();
        drain_until_ = std::chrono::steady_clock::now() + config_.drain_deadline.get();
        show(telemetry::Phase::draining);
        if (!opened_) return context_.io.stop();
        for (const auto& entrance : entrances_)
            entrance->acceptor->stop();
        custom_.drain();
        for (const auto& service : datagrams_)
            service->stop();
    }

    /// As if it had never drained. The acceptors before may still be with what they have shed: nobody waits for them here.
    void resume() {
        context_.draining = false;
        for (const auto& entrance : entrances_) {
            former_acceptors_.push_back(std::move(entrance->acceptor));
            entrance->accept(context_);
        }
        custom_.resume();
        for (const auto& service : datagrams_)
            service->start();
        show(telemetry::Phase::ready);
    }

    bool drained(std::uint64_t now) {
        if (std::chrono::steady_clock::now() >= drain_until_) return true;
        for (auto next = context_.connections.begin(); next != context_.connections.end();) {
            OpenConnection& connection = *next++;
            connection.close_if_idle(now, kQuietWhenDraining);
        }
        bool waiting = false;
        for (const auto& entrance : entrances_)
            waiting = waiting || entrance->queue.depth() > 0;
        for (const auto& service : datagrams_)
            waiting = waiting || !service->finished();
        return !waiting && custom_.drained() && context_.connections.empty() && context_.lingering.empty();
    }

    const WorkerConfig& config_;
    WorkerContext context_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer beat_;
    CustomServers custom_;
    std::vector<std::unique_ptr<Entrance>> entrances_;
    std::vector<std::unique_ptr<DatagramService>> datagrams_;
    std::vector<std::unique_ptr<Acceptor>> former_acceptors_;
    HandshakeThread handshakes_{context_.io,
                                context_.poller.turn()};  ///< ends before the TLS contexts that it uses
    DescriptorWatch wakeup_{context_.poller, context_.wakeups->of(context_.seat.slot()),
                            DescriptorWatch::How::each_write, [this] { woken(); }};
    std::chrono::steady_clock::time_point drain_until_;
    std::uint32_t resumptions_ = 0;  ///< when it began to drain
    unsigned beats_ = 0;
    bool opened_ = false;
};

}  // namespace

int run_worker(telemetry::SeatWriter& seat, const WorkerConfig& config) {
    ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
    return Worker(seat, config).run();
}

}  // namespace signalbox::server
