#include "agent/supervisor/privileges.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace signalbox::supervisor {

void set_open_files_limit(std::uint64_t files) {
    if (files == 0) return;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t hard = limit.rlim_max;
    limit.rlim_cur = files;
    if (files > hard) limit.rlim_max = files;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
        throw std::runtime_error(
            fmt::format("open_files: {} is above the hard limit of {}; raise that (ulimit -Hn, "
                        "LimitNOFILE=) or give less",
                        files, hard));
}

namespace {

struct Account {
    uid_t uid = 0;
    gid_t gid = 0;
};

Account find_account(const std::string& user, const std::string& group) {
    const passwd* entry = ::getpwnam(user.c_str());
    if (!entry) throw std::invalid_argument(fmt::format("user: there is no '{}' on this host", user));
    Account account{entry->pw_uid, entry->pw_gid};
    if (group.empty()) return account;
    const ::group* group_entry = ::getgrnam(group.c_str());
    if (!group_entry)
        throw std::invalid_argument(fmt::format("user_group: there is no '{}' on this host", group));
    account.gid = group_entry->gr_gid;
    return account;
}

}  // namespace

void check_account(const std::string& user, const std::string& group) {
    if (user.empty()) return;
    const Account account = find_account(user, group);
    if (::geteuid() != 0 && account.uid != ::geteuid())
        throw std::invalid_argument(
            fmt::format("user: only root becomes '{}'; start the group as root, or leave this out", user));
}

void become(const std::string& user, const std::string& group) {
    if (user.empty() && group.empty()) return;
    if (user.empty())
        throw std::invalid_argument(fmt::format("user_group: '{}' needs a user as well", group));
    const auto [uid, gid] = find_account(user, group);
    // After an upgrade this process is the user's from its start.
    if (uid != 0 && ::getuid() == uid && ::geteuid() == uid && ::getgid() == gid && ::getegid() == gid)
        return;
    if (::initgroups(user.c_str(), gid) != 0 || ::setresgid(gid, gid, gid) != 0 ||
        ::setresuid(uid, uid, uid) != 0)
        throw std::system_error(errno, std::generic_category(),
                                fmt::format("user: cannot become '{}'", user));
    if (uid != 0 && ::setuid(0) == 0) throw std::runtime_error("user: root's rights are still there");
    // Or the kernel gives /proc/self to root, where workers count their descriptors.
    ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace signalbox::supervisor
