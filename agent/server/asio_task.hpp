// What an io_context waits with is a task of its scheduler: by default Asio's reactor. Here another one can take that
// place, and wait for the reactor among other things.
//
// Asio has no public way to do so, though the scheduler knows its task only by the two functions of its interface. Its
// private members are named in one place, asio_task.cpp, which does not compile where they are called differently.
#pragma once

#include <boost/asio/detail/scheduler_task.hpp>
#include <boost/asio/io_context.hpp>

namespace signalbox::server {

using AsioTask = boost::asio::detail::scheduler_task;

struct AsioReactor {
    AsioTask* task;  ///< run() does what Asio's timers and descriptors have to do
    int descriptor;  ///< its epoll set: readable when there is something to do
};

/// From now on `io` waits with `task`, which outlives it. Before other threads use `io`.
AsioReactor wait_with(boost::asio::io_context& io, AsioTask& task);

}  // namespace signalbox::server
