// The arbiter that this process is to replace, if it was started for that: what it has handed over, and whether it lives.
//
//     Predecessor predecessor;                    // before anything is bound
//     …                                           // bind: take_inherited_socket() has its sockets
//     predecessor.begin();                        // the arbiter runs
//     predecessor.say_ready();                    // all workers serve
//     if (predecessor.hands_over()) …             // from now on the group is ours
//     if (predecessor.has_ended()) …              // all its processes, not only the arbiter
#pragma once

#include <cstdint>
#include <vector>

namespace signalbox::supervisor {

enum class Note : std::uint32_t;

class Predecessor {
public:
    /// Takes what was handed over, and its variable out of the environment. Throws std::runtime_error when that makes no
    /// sense.
    Predecessor();
    ~Predecessor();
    Predecessor(const Predecessor&) = delete;
    Predecessor& operator=(const Predecessor&) = delete;

    /// There was one, and this process has not taken over yet.
    bool in_charge() const { return in_charge_; }
    /// There was one, and some process of its group may live still.
    bool present() const { return segment_ >= 0 || in_charge_; }

    /// Its segment, to be read; -1: none. Stays this object's.
    int segment() const { return segment_; }
    /// The caller's; -1: none.
    int take_pid_file();

    /// stderr is the group's own from now on, and the predecessor knows that this program has come so far.
    void begin();
    void say_ready();
    /// True once: it has been told to take over, or its predecessor is dead, `died()`.
    bool hands_over();
    bool died() const { return died_; }
    /// No process of its group lives. True once; its segment is closed by release().
    bool has_ended() const;
    void release();

    /// What to poll for; -1: nothing.
    int socket() const { return socket_; }
    /// For children to close.
    std::vector<int> descriptors() const;

private:
    void receive_all();
    void tell(Note note);

    int socket_ = -1;
    int segment_ = -1;
    int pid_file_ = -1;
    int errors_ = -1;
    bool in_charge_ = false;
    bool ready_told_ = false;
    bool died_ = false;
};

}  // namespace signalbox::supervisor
