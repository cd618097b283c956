// The custom servers of a worker: all are started before it is ready, and have drained before it ends.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/server/worker_context.hpp"
#include "signalbox/custom_server.hpp"

namespace signalbox::server {

struct CustomServerConfig {
    std::string name;
    std::function<std::unique_ptr<CustomServer>(boost::asio::io_context&)> make;
};

class CustomServers {
public:
    /// Makes them. Throws as they do.
    CustomServers(WorkerContext& context, const std::vector<CustomServerConfig>& servers);

    /// Calls `started` in the event loop when all have. What one throws instead leaves io_context::run().
    void start(std::function<void()> started);
    void drain();
    void resume();
    bool drained() const;

private:
    struct Place {
        Place(std::string of, std::unique_ptr<CustomServer> made)
            : name(std::move(of)), server(std::move(made)) {}

        const std::string name;
        const std::unique_ptr<CustomServer> server;
        boost::asio::cancellation_signal cancel;
        bool draining = false;  ///< drain() is under way
        bool drained = false;
        bool cancelled = false;  ///< the drain under way
    };
    void drain(Place& place);
    void drain_ended(Place& place, const std::exception_ptr& failure);
    void resume(Place& place);
    void say(const Place& place, const std::exception_ptr& failure);

    WorkerContext& context_;
    std::vector<std::unique_ptr<Place>> places_;
    std::size_t starting_ = 0;
    bool wanted_ = true;  ///< they are to serve
};

}  // namespace signalbox::server
