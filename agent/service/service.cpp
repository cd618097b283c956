#include "agent/service/service.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <system_error>

#include "agent/service/connection.hpp"
#include "agent/service/tls.hpp"

namespace signalbox::service {
namespace asio = boost::asio;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMaxConnections = 64;

/// Only SIGTERM ends the agent: what a terminal sends to the whole group is for the arbiter, which then
/// closes its end of the command socket. The arbiter's own signal mask and handlers came with the fork.
void settle_signals() {
    for (const int signal : {SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2})
        ::signal(signal, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
}

/// Accepts on one socket, of either kind, and starts connections.
class Door {
public:
    using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
    using Places = std::shared_ptr<std::size_t>;  ///< how many are taken

    Door(asio::io_context& io, int listener, Site& site, Places places, asio::ssl::context* tls)
        : acceptor_(io), retry_(io), site_(site), places_(std::move(places)), tls_(tls) {
        const int copy = ::fcntl(listener, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) throw std::system_error(errno, std::generic_category(), "the agent's listener");
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        ::getsockname(copy, reinterpret_cast<sockaddr*>(&address), &size);
        acceptor_.assign(asio::generic::stream_protocol(address.ss_family, 0), copy);
        accept();
    }

private:
    void accept() {
        acceptor_.async_accept([this](const error_code& error, PeerStream::Socket socket) {
            if (error == asio::error::operation_aborted) return;
            if (error) return accept_later();
            admit(std::move(socket));
            accept();
        });
    }

    /// Out of descriptors, most likely: trying again at once would spin.
    void accept_later() {
        retry_.expires_after(100ms);
        retry_.async_wait([this](const error_code& error) {
            if (!error) accept();
        });
    }

    void admit(PeerStream::Socket socket) {
        if (*places_ >= kMaxConnections) return;  // closes it
        ++*places_;
        const std::shared_ptr<void> place(nullptr, [places = places_](void*) { --*places; });
        auto stream = tls_ ? PeerStream(std::move(socket), *tls_) : PeerStream(std::move(socket));
        std::make_shared<Connection>(std::move(stream), site_, place)->start();
    }

    Acceptor acceptor_;
    asio::steady_timer retry_;
    Site& site_;
    Places places_;
    asio::ssl::context* tls_;
};

/// Runs the feeds when they are due.
class Ticker {
public:
    Ticker(asio::io_context& io, Feeds& feeds) : timer_(io), feeds_(feeds) { rearm(); }

    void rearm() {
        timer_.expires_at(feeds_.next_due());
        timer_.async_wait([this](const error_code& error) {
            if (error) return;
            feeds_.run_due(Clock::now());
            rearm();
        });
    }

private:
    asio::steady_timer timer_;
    Feeds& feeds_;
};

void serve(const ServiceConfig& config) {
    // What sessions refer to in their destructors is made before the io_context that destroys the last of
    // them.
    const telemetry::SegmentView view(config.segment);
    Feeds feeds(view, Clock::now());
    const Authorizer authorizer(config.tls.operators);
    std::optional<asio::ssl::context> tls;
    if (config.tls_listener >= 0) tls = make_tls_context(config.tls);

    asio::io_context io(1);
    const auto stop = [&io] { io.stop(); };
    ArbiterLink arbiter(io, config.commands, stop);
    Rpc rpc(view, feeds, authorizer, arbiter);
    Pages pages(view, feeds);
    Ticker ticker(io, feeds);
    Site site{view, feeds, authorizer, rpc, pages, [&ticker] { ticker.rearm(); }};

    asio::signal_set signals(io, SIGTERM);
    signals.async_wait([&io](const error_code& error, int) {
        if (!error) io.stop();
    });

    const auto places = std::make_shared<std::size_t>(0);
    std::optional<Door> unix_door;
    std::optional<Door> tls_door;
    if (config.unix_listener >= 0) unix_door.emplace(io, config.unix_listener, site, places, nullptr);
    if (config.tls_listener >= 0) tls_door.emplace(io, config.tls_listener, site, places, &*tls);
    io.run();
}

}  // namespace

int run_agent(const ServiceConfig& config) {
    ::prctl(PR_SET_NAME, "signalbox-agent");
    settle_signals();
    try {
        serve(config);
        return EX_OK;
    } catch (const telemetry::SegmentError& error) {
        fmt::print(stderr, "signalbox agent: {}\n", error.what());
        return EX_DATAERR;
    } catch (const std::invalid_argument& error) {
        fmt::print(stderr, "signalbox agent: {}\n", error.what());
        return EX_CONFIG;
    } catch (const std::exception& error) {
        fmt::print(stderr, "signalbox agent: {}\n", error.what());
        return EX_OSERR;
    }
}

}  // namespace signalbox::service
