#include "agent/service/arbiter_link.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace signalbox::service {
namespace asio = boost::asio;
using supervisor::Answer;
using supervisor::Command;

namespace {

int duplicate(int descriptor) {
    const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw std::system_error(errno, std::generic_category(), "the arbiter's socket");
    return copy;
}

}  // namespace

ArbiterLink::ArbiterLink(asio::io_context& io, int socket, std::function<void()> closed)
    : socket_(io, duplicate(socket)), closed_(std::move(closed)) {
    wait_for_answers();
}

void ArbiterLink::ask(Command command, Done done) {
    command.id = ++last_id_;
    if (pending_.size() >= kMaxPending ||
        ::send(socket_.native_handle(), &command, sizeof command, MSG_DONTWAIT | MSG_NOSIGNAL) !=
            static_cast<ssize_t>(sizeof command))
        return done({});
    Pending& pending = pending_
                           .emplace(command.id, Pending{asio::steady_timer(socket_.get_executor(), kPatience),
                                                        std::move(done)})
                           .first->second;
    pending.timeout.async_wait([this, id = command.id](const boost::system::error_code& error) {
        if (!error) finish(id, {});
    });
}

void ArbiterLink::wait_for_answers() {
    socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& error) {
                           if (error == asio::error::operation_aborted) return;
                           if (error || !read_answers()) return closed_();
                           wait_for_answers();
                       });
}

bool ArbiterLink::read_answers() {
    for (;;) {
        Answer answer;
        const ssize_t size = ::recv(socket_.native_handle(), &answer, sizeof answer, MSG_DONTWAIT);
        if (size == static_cast<ssize_t>(sizeof answer)) {
            finish(answer.id, answer);
            continue;
        }
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        if (size == 0) return false;
    }
}

void ArbiterLink::finish(std::uint64_t id, std::optional<Answer> answer) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;  // it came too late
    const Done done = std::move(found->second.done);
    pending_.erase(found);
    done(std::move(answer));
}

}  // namespace signalbox::service
