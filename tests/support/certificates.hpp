// Certificates made for a test by the openssl program, and the clients that it and curl are.
#pragma once

#include <QByteArray>
#include <QStringList>
#include <QTemporaryDir>
#include <string>

struct ProgramOutput {
    int status = -1;
    QByteArray out;
    QByteArray all;  ///< with what went to stderr
};

/// Runs it to its end, at most 60 seconds, with `input` as its standard input.
ProgramOutput run_program(const QString& program, const QStringList& arguments, const QByteArray& input = {});

class Certificates {
public:
    /// Two authorities, "authority" and "stranger"; and "server", which the first has signed for 127.0.0.1.
    Certificates();

    std::string file(const QString& name) const { return directory_.filePath(name).toStdString(); }
    struct Traits {
        QString authority = "authority";
        QString subject{};  ///< "/CN=alice"; empty: that of the file's name
        QString alternative_name = "IP:127.0.0.1";
    };
    /// NAME.pem and NAME.key. Throws std::runtime_error.
    void make(const QString& name, const Traits& traits);
    void make(const QString& name) { make(name, {}); }
    /// Replaces the file `to` by a copy of `from` in one moment.
    void put(const QString& from, const QString& to);

    /// curl's options that make it trust the authority.
    QStringList trust() const { return {"--cacert", directory_.filePath("authority.pem")}; }
    QStringList client(const QString& name) const {
        return {"--cert", directory_.filePath(name + ".pem"), "--key", directory_.filePath(name + ".key")};
    }

private:
    void make_authority(const QString& name);
    QTemporaryDir directory_;
};

/// curl, silent but for errors.
ProgramOutput curl(const QStringList& arguments);
/// openssl s_client, connected to `address`.
ProgramOutput s_client(const std::string& address, const QStringList& arguments,
                       const QByteArray& input = {});
