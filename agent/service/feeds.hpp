// Who gets which ticks and events, and when. Knows nothing of sockets: frames go to Subscribers, time comes
// in.
//
//     Feeds feeds(view, Clock::now());
//     Opening opening = feeds.subscribe(session, {.period = 1s, .history = 60s}, Clock::now());
//     send(reply(opening.tick)); send(opening.frames);
//     feeds.run_due(now);                   // at feeds.next_due(): collects, and calls session.deliver() …
//     feeds.unsubscribe(session);
//
// A feed is a period with a Collector of its own; it runs while somebody subscribes to it, and its frames are
// encoded once for all who want the same shape. The base feed (1 s) always runs and has the history.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "agent/service/event_log.hpp"
#include "agent/service/history.hpp"
#include "agent/service/tick_shape.hpp"
#include "agent/telemetry/collector.hpp"

namespace signalbox::service {

using Clock = std::chrono::steady_clock;

struct Subscription {
    Shape shape{};
    std::chrono::milliseconds period{1000};
    std::chrono::nanoseconds history{0};
    std::optional<wire::WallTime>
        since{};  ///< end of the last tick that the client has; instead of `history`
};

enum class Loss {
    allowed,  ///< a tick: a slow client goes without
    never,    ///< what later frames build upon
};

/// Where frames go.
class Subscriber {
public:
    virtual ~Subscriber() = default;
    /// Must not call Feeds.
    virtual void deliver(const Frame& frame, Loss loss) = 0;
};

/// A frame of an opening. The past is stored at the finest scale; reshaping it waits until it is sent, so
/// that a long history neither stops the loop nor takes memory for each client.
struct Opening {
    struct Item {
        Frame frame;
        std::optional<Shape> reshape_to;
    };
    std::uint64_t tick = 0;  ///< number of the newest
    std::vector<Item> frames;
};

class Feeds {
public:
    static constexpr std::chrono::milliseconds kBasePeriod{1000};
    static constexpr std::chrono::milliseconds kEventPeriod{100};
    static constexpr std::size_t kMaxFeeds = 8;
    static constexpr std::size_t kLeastEvents = 100;

    /// `view` must outlive it.
    Feeds(const telemetry::SegmentView& view, Clock::time_point now);

    /// Replaces what the subscriber had. Throws std::length_error, with advice, when too many other periods
    /// are in use.
    Opening subscribe(Subscriber& subscriber, const Subscription& subscription, Clock::time_point now);
    void unsubscribe(Subscriber& subscriber);

    Clock::time_point next_due() const;
    void run_due(Clock::time_point now);
    /// Reads the rings now and passes on what is new.
    void poll_events();

    const EventLog& events() const { return events_; }
    const Catalogue& catalogue() const { return base().catalogue; }
    Frame reshape(const Frame& finest, Shape shape) const;

    std::uint64_t base_tick() const { return base().newest.number; }
    /// The whole group's totals as of the base feed's newest tick, as one series.
    wire::Tick totals() const;
    /// What the group did in the last minute, as far as there is history: one series.
    wire::Tick last_minute() const;

private:
    struct Feed {
        explicit Feed(const telemetry::SegmentView& view) : collector(view) {}
        telemetry::Collector collector;
        Catalogue catalogue;
        std::vector<wire::Instrument> fresh;  ///< not announced to the subscribers yet
        wire::Tick newest;
        std::map<Subscriber*, Shape> subscribers;
        Clock::time_point due;

        void advance();
        void deliver();
    };
    using FeedMap = std::map<std::chrono::milliseconds, Feed>;

    const Feed& base() const { return feeds_.at(kBasePeriod); }
    Feed& feed_for(std::chrono::milliseconds period, Clock::time_point now);
    void add_past(Opening& opening, const Subscription& subscription) const;
    void remember(Feed& base);

    const telemetry::SegmentView& view_;
    FeedMap feeds_;
    EventLog events_;
    History history_;
    Clock::time_point events_due_;
    std::size_t subscribers_ = 0;
};

}  // namespace signalbox::service
