// Where to connect to, and with which certificates.
#pragma once

#include <QDialog>

#include "console/session/connection_settings.hpp"

class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;

namespace signalbox::console {

class ConnectDialog : public QDialog {
    Q_OBJECT
public:
    explicit ConnectDialog(QWidget* parent);
    ConnectionSettings settings() const;

private:
    QLineEdit* addFileRow(QFormLayout& form, const QString& label, const QString& name);
    void refresh();

    QLineEdit* url_;
    QLineEdit* authority_;
    QLineEdit* certificate_;
    QLineEdit* key_;
    QLabel* problem_;
    QPushButton* connect_;
};

}  // namespace signalbox::console
