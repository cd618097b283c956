// Telemetry alone, in a program with a fork loop of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <signalbox/telemetry.hpp>

int main() {
    signalbox::Telemetry telemetry({.group = "consumer", .max_workers = 1});
    signalbox::Counter letters(telemetry, "letters_total", "Letters classified");
    signalbox::Duration scoring(telemetry, "scoring_duration_seconds", "Time to score a letter");
    if (fork() == 0) {
        telemetry.attach(0);
        letters.add();
        { auto timer = scoring.time(); }
        _exit(0);
    }
    int status = -1;
    wait(&status);
    return status;
}
