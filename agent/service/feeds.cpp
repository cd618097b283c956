#include "agent/service/feeds.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/wire/codec.hpp"

namespace signalbox::service {
namespace {

constexpr Shape kFinest{Granularity::worker, sketch::kFinestScale};

Frame encoded(const wire::Message& message) {
    return Frame(wire::encode(message));
}

wire::WallTime wall_now() {
    return std::chrono::time_point_cast<wire::nanoseconds>(std::chrono::system_clock::now());
}

}  // namespace

void Feeds::Feed::advance() {
    newest = collector.collect();
    for (wire::Instrument& instrument : collector.new_instruments()) {
        catalogue.insert_or_assign(instrument.index, instrument);
        fresh.push_back(std::move(instrument));
    }
}

void Feeds::Feed::deliver() {
    const Frame directory = fresh.empty() ? Frame() : encoded(wire::Directory{std::move(fresh)});
    fresh.clear();
    std::map<Shape, Frame> frames;
    for (const auto& [subscriber, shape] : subscribers) {
        if (directory) subscriber->deliver(directory, Loss::never);
        Frame& frame = frames[shape];
        if (!frame) frame = Frame(encode_shaped(newest, shape, catalogue));
        subscriber->deliver(frame, Loss::allowed);
    }
}

Feeds::Feeds(const telemetry::SegmentView& view, Clock::time_point now)
    : view_(view), events_(view), events_due_(now + kEventPeriod) {
    feed_for(kBasePeriod, now);
    events_.poll();
}

Feeds::Feed& Feeds::feed_for(std::chrono::milliseconds period, Clock::time_point now) {
    if (const auto found = feeds_.find(period); found != feeds_.end()) return found->second;
    if (feeds_.size() >= kMaxFeeds) {
        std::string running;
        for (const auto& [other, feed] : feeds_)
            running += (running.empty() ? "" : ", ") + std::to_string(other.count());
        throw std::length_error("too many different periods are in use; take one of " + running + " ms");
    }
    Feed& feed = feeds_.try_emplace(period, view_).first->second;
    feed.advance();  // what was before is nobody's change
    feed.fresh.clear();
    feed.due = now + period;
    return feed;
}

Opening Feeds::subscribe(Subscriber& subscriber, const Subscription& subscription, Clock::time_point now) {
    Feed& feed = feed_for(subscription.period, now);
    const bool had_it = feed.subscribers.contains(&subscriber);
    if (!had_it) {
        unsubscribe(subscriber);
        ++subscribers_;
    }
    feed.subscribers.insert_or_assign(&subscriber, subscription.shape);

    Opening opening{feed.newest.number, {}};
    wire::Directory directory;
    for (const auto& [index, instrument] : feed.catalogue)
        directory.instruments.push_back(instrument);
    opening.frames.push_back({encoded(directory), {}});
    add_past(opening, subscription);
    opening.frames.push_back(
        {Frame(encode_shaped(feed.collector.absolute(), subscription.shape, feed.catalogue)), {}});
    return opening;
}

void Feeds::add_past(Opening& opening, const Subscription& subscription) const {
    if (!subscription.since && subscription.history.count() == 0) return;
    const wire::WallTime from = subscription.since.value_or(wall_now() - subscription.history);
    if (subscription.period == kBasePeriod)
        for (Frame& finest : history_.since(from))
            opening.frames.push_back({std::move(finest), subscription.shape});
    wire::Events events;
    if (!subscription.since) events.lost = events_.lost();
    events.events = events_.since(from, subscription.since ? 0 : kLeastEvents);
    if (!events.events.empty() || events.lost > 0) opening.frames.push_back({encoded(events), {}});
}

void Feeds::unsubscribe(Subscriber& subscriber) {
    for (auto feed = feeds_.begin(); feed != feeds_.end(); ++feed) {
        if (feed->second.subscribers.erase(&subscriber) == 0) continue;
        --subscribers_;
        if (feed->second.subscribers.empty() && feed->first != kBasePeriod) feeds_.erase(feed);
        return;
    }
}

Clock::time_point Feeds::next_due() const {
    Clock::time_point next = subscribers_ > 0 ? events_due_ : base().due;
    for (const auto& [period, feed] : feeds_)
        next = std::min(next, feed.due);
    return next;
}

void Feeds::run_due(Clock::time_point now) {
    std::vector<Feed*> ticked;
    for (auto& [period, feed] : feeds_) {
        if (feed.due > now) continue;
        feed.due += period;
        if (feed.due <= now) feed.due = now + period;  // late: the next tick is longer, none is made up
        feed.advance();
        if (period == kBasePeriod) remember(feed);
        ticked.push_back(&feed);
    }
    // Events go out before the tick that covers them, and are read after it was taken: who has a tick has
    // every event up to its end, which is what `since` relies on.
    if (!ticked.empty() || (subscribers_ > 0 && events_due_ <= now)) {
        events_due_ = now + kEventPeriod;
        poll_events();
    }
    for (Feed* feed : ticked)
        feed->deliver();
}

void Feeds::remember(Feed& base) {
    if (base.newest.absolute) return;
    history_.add(base.newest.end, encode_shaped(base.newest, kFinest, base.catalogue));
}

void Feeds::poll_events() {
    const wire::Events events = events_.poll();
    if (subscribers_ == 0 || (events.events.empty() && events.lost == 0)) return;
    const Frame frame = encoded(events);
    for (const auto& [period, feed] : feeds_)
        for (const auto& [subscriber, shape] : feed.subscribers)
            subscriber->deliver(frame, Loss::never);
}

Frame Feeds::reshape(const Frame& finest, Shape shape) const {
    return shape == kFinest ? finest : Frame(service::reshape(finest.text(), shape, catalogue()));
}

wire::Tick Feeds::totals() const {
    return merged_into_group(base().collector.absolute(), base().catalogue);
}

wire::Tick Feeds::last_minute() const {
    wire::Tick minute = base().newest;
    minute.series.clear();
    minute.length = {};
    for (const Frame& frame : history_.since(base().newest.end - std::chrono::minutes(1))) {
        wire::Decoded decoded = wire::decode(frame.text());
        auto* tick = decoded ? std::get_if<wire::Tick>(&*decoded.message) : nullptr;
        if (!tick) continue;
        minute.length += tick->length;
        for (wire::Series& series : tick->series)
            minute.series.push_back(std::move(series));
        minute = merged_into_group(minute, base().catalogue);
    }
    return minute;
}

}  // namespace signalbox::service
