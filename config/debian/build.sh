#!/bin/bash
# Makes the Debian package from a binary that is built already: config/debian/build.sh [BINARY] [DIRECTORY]
# (target/release/hongyan, .). Prints the path of the package.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${1:-target/release/hongyan}
into=${2:-.}
[ -x "$binary" ] || { echo "build.sh: no $binary; cargo build --release first" >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
architecture=$(dpkg --print-architecture)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 0755 "$tree"

install -D -m 0755 "$binary" "$tree/usr/bin/hongyan"
strip --strip-debug "$tree/usr/bin/hongyan"
install -D -m 0644 config/systemd/hongyan.service "$tree/lib/systemd/system/hongyan.service"
# As shipped, but for where the data lie.
install -d -m 0750 "$tree/etc/hongyan"
sed 's|^data_dir = "data" .*|data_dir = "/var/lib/hongyan"   # journal and ledger; made if missing|' config/hongyan.toml >"$tree/etc/hongyan/hongyan.toml"
chmod 0640 "$tree/etc/hongyan/hongyan.toml"
install -D -m 0644 README.md "$tree/usr/share/doc/hongyan/README.md"
install -D -m 0644 config/debian/copyright "$tree/usr/share/doc/hongyan/copyright"
for file in prometheus/prometheus.yml prometheus/rules.yml; do
    install -D -m 0644 "config/$file" "$tree/usr/share/hongyan/$file"
done
for file in $(cd config && find grafana -name '*.json' -o -name '*.yml'); do
    install -D -m 0644 "config/$file" "$tree/usr/share/hongyan/$file"
done
install -d "$tree/usr/share/bash-completion/completions"
"$binary" completions bash >"$tree/usr/share/bash-completion/completions/hongyan"

# The newest version of the C library that the binary asks for.
libc=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -V | tail -1)
install -d "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: hongyan
Version: $version
Architecture: $architecture
Maintainer: Hongyan <hongyan@localhost>
Section: net
Priority: optional
Installed-Size: $(du -ks "$tree" | cut -f1)
Depends: libc6 (>= $libc), adduser
Suggests: prometheus
Description: high-throughput SMPP gateway
 Customers' systems hand it short messages over SMPP or HTTP; it makes each one
 durable before it says yes, sends it through sessions with carriers at the pace
 they allow, and brings every delivery receipt back to whoever sent the message.
CONTROL
echo /etc/hongyan/hongyan.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 0755 "config/debian/$script" "$tree/DEBIAN/$script"
done
package=$into/hongyan_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
echo "$package"
