// What the connections of a worker share. Used by the event loop's thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include "agent/server/deadline_wheel.hpp"
#include "agent/server/http_buffers.hpp"
#include "agent/server/lingering.hpp"
#include "agent/server/load.hpp"
#include "agent/server/metrics.hpp"
#include "agent/server/poller.hpp"
#include "agent/server/response_writer.hpp"
#include "agent/server/wakeups.hpp"
#include "agent/telemetry/connections.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::server {

/// How a connection ended, for counting.
enum class End {
    served,
    client,
    deadline,
    handler,
    transport,
    worker_ended,
    shed,      ///< made way for others
    handed_on  ///< has not ended: another OpenConnection goes on with it
};

/// A connection as the worker sees it, whatever it speaks.
class OpenConnection : public DeadlineWheel::Entry {
public:
    /// The worker drains; called again and again. Ends the connection if no request has been under way for
    /// `least`; it may be destroyed then. What would go on for ever is told to end.
    virtual void close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) = 0;

    /// Since when it has been waiting for a client to begin a request or to finish its header; 0: it does not wait
    /// for that.
    virtual std::uint64_t waits_since() const { return 0; }
    /// Descriptors run short, and this has waited for long: ends it. It may be destroyed then.
    virtual void make_way(std::uint64_t /*now*/) {}

    End end = End::served;  ///< so far; what closed() counts
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> hook;
};

struct WorkerContext {
    /// `slot_wakeups` may be null: then nobody else wakes this worker.
    WorkerContext(telemetry::SeatWriter& seat_writer, ServerMetrics& server_metrics,
                  std::shared_ptr<const Wakeups> slot_wakeups = {})
        : seat(seat_writer),
          metrics(server_metrics),
          wakeups(slot_wakeups
                      ? std::move(slot_wakeups)
                      : std::make_shared<const Wakeups>(seat_writer.segment().geometry().slot_count)),
          table(seat_writer.segment(), seat_writer.index()),
          deadlines(telemetry::monotonic_ns()) {
        poller.attach();
    }
    ~WorkerContext() { poller.abandon_all(); }

    void opened(OpenConnection& connection) {
        connections.push_back(connection);
        show_open(open + 1);
    }
    void closed(OpenConnection& connection) {
        connection.hook.unlink();
        show_open(open - 1);
        count(connection.end);
    }
    /// Whose worker ends before they do.
    void abandoned(OpenConnection& connection) {
        connection.end = End::worker_ended;
        closed(connection);
    }
    /// Descriptors run short: those that have waited longest for a client make way, a few at a time.
    void make_room(std::uint64_t now);

    telemetry::SeatWriter& seat;
    ServerMetrics& metrics;
    std::shared_ptr<const Wakeups> wakeups;
    telemetry::ConnectionTable table;  ///< what the segment shows of the connections
    DeadlineWheel deadlines;
    LingeringSockets lingering;
    DateClock date;
    SpareHttpBuffers http_buffers;
    Lateness lateness{seat};    ///< of the event loop
    std::uint64_t idle_ns = 0;  ///< when the event loop was last seen with nothing to do
    bool draining = false;      ///< responses say "Connection: close" from now on

    unsigned open = 0;
    boost::intrusive::list<
        OpenConnection,
        boost::intrusive::member_hook<OpenConnection, decltype(OpenConnection::hook), &OpenConnection::hook>,
        boost::intrusive::constant_time_size<false>>
        connections;

    Poller poller{io, &seat.turn_began()};
    boost::asio::io_context io{1};  ///< last, so that what it still holds at the end finds the rest alive

private:
    void count(End end);
    void show_open(unsigned count) {
        open = count;
        seat.set_connections(count);
        metrics.open.set(count);
    }
};

}  // namespace signalbox::server
