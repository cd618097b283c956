// Sockets that are there already: taken by address, once, from a service manager or from a predecessor.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <functional>

#include "agent/sockets/inherited_sockets.hpp"
#include "tests/support/in_a_child.hpp"

using namespace signalbox::sockets;

class TestInheritedSockets : public QObject {
    Q_OBJECT
private slots:
    void an_inherited_socket_is_taken_by_its_address();
    void sockets_meant_for_another_process_are_left_alone();
    void what_nobody_takes_is_named_and_closed();
    void a_socket_handed_over_is_taken_by_the_address_that_was_asked_for();
    void sockets_handed_over_for_one_address_are_taken_in_order();
    void a_socket_is_taken_by_who_wants_its_type();
    void a_path_is_an_address_too();
};

namespace {

/// Listening on a free port of loopback.
int listening_socket(sockaddr_in& address) {
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    listen(descriptor, 4);
    socklen_t size = sizeof address;
    getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
    return descriptor;
}

/// As a service manager leaves it to a process: at descriptor 3.
void announce(int descriptor, pid_t whose) {
    dup2(descriptor, 3);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", std::to_string(whose).c_str(), 1);
    setenv("LISTEN_FDNAMES", "web", 1);
}

int take(const sockaddr_in& wanted, int type = SOCK_STREAM) {
    return take_inherited_socket(reinterpret_cast<const sockaddr*>(&wanted), sizeof wanted, type);
}

}  // namespace

void TestInheritedSockets::an_inherited_socket_is_taken_by_its_address() {
    sockaddr_in address;
    const int socket = listening_socket(address);
    QVERIFY(in_a_child([&] {
        announce(socket, getpid());
        sockaddr_in other = address;
        other.sin_port = htons(1);
        return take(other) == -1 && take(address) == 3 && take(address) == -1 && !getenv("LISTEN_FDS") &&
               !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES") && fcntl(3, F_GETFD) == FD_CLOEXEC &&
               close_unused_inherited_sockets().empty() && fcntl(3, F_GETFD) == FD_CLOEXEC;
    }));
    close(socket);
}

void TestInheritedSockets::sockets_meant_for_another_process_are_left_alone() {
    sockaddr_in address;
    const int socket = listening_socket(address);
    QVERIFY(in_a_child([&] {
        announce(socket, 1);
        return take_inherited_socket(reinterpret_cast<const sockaddr*>(&address), sizeof address) == -1 &&
               fcntl(3, F_GETFD) == 0;
    }));
    close(socket);
}

void TestInheritedSockets::what_nobody_takes_is_named_and_closed() {
    sockaddr_in address;
    const int socket = listening_socket(address);
    const std::string expected =
        "descriptor 3 (127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + ", named 'web')";
    QVERIFY(in_a_child([&] {
        announce(socket, getpid());
        return close_unused_inherited_sockets() == std::vector<std::string>{expected} &&
               fcntl(3, F_GETFD) == -1;
    }));
    close(socket);
}

void TestInheritedSockets::a_socket_handed_over_is_taken_by_the_address_that_was_asked_for() {
    sockaddr_in bound;
    const int socket = listening_socket(bound);
    sockaddr_in asked = bound;
    asked.sin_port = 0;
    QVERIFY(in_a_child([&] {
        inherit_socket({socket, address_of(reinterpret_cast<const sockaddr*>(&asked), sizeof asked)});
        return take(asked) == socket && take(asked) == -1 && take(bound) == -1;
    }));
    QVERIFY(in_a_child([&] {
        inherit_socket({socket, address_of(reinterpret_cast<const sockaddr*>(&asked), sizeof asked)});
        return take(bound) == socket;
    }));
    close(socket);
}

void TestInheritedSockets::sockets_handed_over_for_one_address_are_taken_in_order() {
    sockaddr_in bound;
    const int first = listening_socket(bound);
    const int second = listening_socket(bound);
    bound.sin_port = 0;
    QVERIFY(in_a_child([&] {
        for (const int socket : {first, second})
            inherit_socket({socket, address_of(reinterpret_cast<const sockaddr*>(&bound), sizeof bound)});
        return take(bound) == first && take(bound) == second && take(bound) == -1;
    }));
    close(first);
    close(second);
}

void TestInheritedSockets::a_socket_is_taken_by_who_wants_its_type() {
    sockaddr_in bound;
    const int socket = listening_socket(bound);
    QVERIFY(in_a_child([&] {
        inherit_socket({socket, address_of(reinterpret_cast<const sockaddr*>(&bound), sizeof bound)});
        return take(bound, SOCK_DGRAM) == -1 && take(bound, SOCK_STREAM) == socket;
    }));
    close(socket);
}

void TestInheritedSockets::a_path_is_an_address_too() {
    const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    const Address here = path_address("/run/one.sock");
    const Address there = path_address("/run/other.sock");
    QVERIFY(in_a_child([&] {
        inherit_socket({descriptor, here});
        return take_inherited_socket(there.get(), there.size) == -1 &&
               take_inherited_socket(here.get(), here.size) == descriptor;
    }));
    close(descriptor);
}

QTEST_GUILESS_MAIN(TestInheritedSockets)
#include "test_inherited_sockets.moc"
