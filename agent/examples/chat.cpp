// A chat over lines of TCP and over WebSockets, in one room: what somebody says, everybody hears.
//
//     signalbox-chat 127.0.0.1:7000 127.0.0.1:8080
//     nc 127.0.0.1 7000                         # a line is a message
//     websocat ws://127.0.0.1:8080/chat         # so is a text
//
// Two coroutines for each guest: one listens to the guest, the other one brings it what the room has to say. One worker: a
// room lives in the memory of a process, and with more workers each would have its own.
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <iostream>
#include <list>
#include <optional>
#include <string>

#include "signalbox/group.hpp"

namespace {

using signalbox::awaitable;

class Guest;
using Room = std::list<Guest*>;

class Guest {
public:
    Guest(Room& room, const boost::asio::any_io_executor& executor)
        : room_(room), place_(room.insert(room.end(), this)), mailbox_(executor, kMailbox) {}
    ~Guest() { room_.erase(place_); }
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    void say(const std::string& message) {
        for (Guest* const guest : room_)
            guest->mailbox_.try_send(boost::system::error_code(), message);
    }
    /// Nothing once the guest has left and all is heard.
    awaitable<std::optional<std::string>> hear() {
        boost::system::error_code closed;
        std::string message =
            co_await mailbox_.async_receive(boost::asio::redirect_error(boost::asio::use_awaitable, closed));
        if (closed) co_return std::nullopt;
        co_return message;
    }
    void leave() { mailbox_.close(); }

private:
    /// Messages. A guest who is slower than the others by more misses some.
    static constexpr std::size_t kMailbox = 64;

    Room& room_;
    const Room::iterator place_;
    boost::asio::experimental::channel<void(boost::system::error_code, std::string)> mailbox_;
};

// ---- lines of TCP

awaitable<void> listen_to(signalbox::Connection& connection, Guest& guest) {
    for (bool more = co_await connection.more(); more; more = co_await connection.more()) {
        const std::string line(co_await connection.read_until("\n", 1000));
        if (line.empty()) break;
        connection.begin_request("message");
        guest.say(line);
    }
    guest.leave();
}

awaitable<void> bring(signalbox::Connection& connection, Guest& guest) {
    for (auto message = co_await guest.hear(); message; message = co_await guest.hear())
        co_await connection.write(*message);
}

awaitable<void> chat(Room& room, signalbox::Connection connection) {
    using namespace boost::asio::experimental::awaitable_operators;
    Guest guest(room, co_await boost::asio::this_coro::executor);
    co_await connection.write("Welcome.\n");
    co_await (listen_to(connection, guest) && bring(connection, guest));
    if (connection.draining()) co_await connection.write("This server restarts: come back at once.\n");
}

// ---- WebSockets

awaitable<void> listen_to(signalbox::WebSocket& socket, Guest& guest) {
    for (auto message = co_await socket.read(); message; message = co_await socket.read()) {
        socket.begin_request("message");
        guest.say(std::string(message->data) + '\n');
    }
    guest.leave();
}

awaitable<void> bring(signalbox::WebSocket& socket, Guest& guest) {
    for (auto message = co_await guest.hear(); message; message = co_await guest.hear()) {
        message->resize(message->find_last_not_of("\r\n") + 1);
        co_await socket.write(*message);
    }
}

awaitable<void> chat(Room& room, signalbox::WebSocket socket) {
    using namespace boost::asio::experimental::awaitable_operators;
    Guest guest(room, co_await boost::asio::this_coro::executor);
    co_await socket.write("Welcome.");
    co_await (listen_to(socket, guest) && bring(socket, guest));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: signalbox-chat LINES-ADDRESS HTTP-ADDRESS\n";
        return 64;
    }
    try {
        signalbox::Group group({.name = "chat", .workers = 1});
        Room room;
        const auto lines = [&room](signalbox::Connection connection) {
            return chat(room, std::move(connection));
        };
        signalbox::Router router;
        router.websocket("/chat", [&room](const signalbox::Request&, signalbox::WebSocket socket) {
            return chat(room, std::move(socket));
        });
        const std::string lines_address =
            group.stream(argv[1], lines, {.stream = {.idle = std::chrono::minutes(30)}});
        const std::string http_address = group.http(argv[2], std::move(router));
        std::cout << "lines on " << lines_address << ", WebSockets on " << http_address << std::endl;
        return group.run();
    } catch (const std::exception& error) {
        std::cerr << "signalbox-chat: " << error.what() << '\n';
        return 1;
    }
}
