#include "agent/server/custom_servers.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <stdexcept>

#include "agent/server/handler_failure.hpp"

namespace signalbox::server {

namespace {

/// So that what a function throws that is no coroutine is no special case.
awaitable<void> start_it(CustomServer& server) {
    co_await server.start();
}
awaitable<void> drain_it(CustomServer& server) {
    co_await server.drain();
}

}  // namespace

CustomServers::CustomServers(WorkerContext& context, const std::vector<CustomServerConfig>& servers)
    : context_(context) {
    for (const CustomServerConfig& config : servers) {
        places_.push_back(std::make_unique<Place>(config.name, config.make(context.io)));
        if (!places_.back()->server)
            throw std::logic_error("custom server '" + config.name + "': its factory made nothing");
    }
}

void CustomServers::start(std::function<void()> started) {
    starting_ = places_.size();
    if (starting_ == 0) return started();
    for (const auto& place : places_)
        boost::asio::co_spawn(context_.io, start_it(*place->server),
                              [this, &name = place->name, started](const std::exception_ptr& failure) {
                                  if (failure)
                                      throw std::runtime_error("custom server '" + name +
                                                               "' does not start: " + message_of(failure));
                                  if (--starting_ == 0) started();
                              });
}

void CustomServers::drain() {
    wanted_ = false;
    for (const auto& place : places_)
        if (!place->draining) drain(*place);
}

void CustomServers::drain(Place& place) {
    place.draining = true;
    boost::asio::co_spawn(context_.io, drain_it(*place.server),
                          boost::asio::bind_cancellation_slot(
                              place.cancel.slot(), [this, &place](const std::exception_ptr& failure) {
                                  drain_ended(place, failure);
                              }));
}

void CustomServers::drain_ended(Place& place, const std::exception_ptr& failure) {
    place.draining = false;
    if (std::exchange(place.cancelled, false)) {
        resume(place);
        if (!wanted_) drain(place);
        return;
    }
    place.drained = true;
    if (failure) say(place, failure);
}

void CustomServers::resume() {
    wanted_ = true;
    for (const auto& place : places_) {
        if (place->drained) {
            resume(*place);
        } else if (place->draining && !std::exchange(place->cancelled, true)) {
            place->cancel.emit(boost::asio::cancellation_type::terminal);
        }
    }
}

void CustomServers::resume(Place& place) {
    place.drained = false;
    try {
        place.server->resume();
    } catch (...) {
        say(place, std::current_exception());
    }
}

void CustomServers::say(const Place& place, const std::exception_ptr& failure) {
    context_.seat.log(wire::Severity::error, "custom_server_failed",
                      "Custom server '" + place.name + "': " + message_of(failure));
}

bool CustomServers::drained() const {
    return std::ranges::all_of(places_, [](const auto& place) { return place->drained; });
}

}  // namespace signalbox::server
