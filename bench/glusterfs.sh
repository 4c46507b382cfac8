# glusterfs.sh MIB [COMMAND...]: a GlusterFS volume, replicated to three bricks of so many MiB. It is what kaio-bench
# --medium=glusterfs measures, and tests/distributed/glusterfs.py makes its parts fail.
#
# It must run in namespaces of its own, for mounts, processes and the network, with which all of it is gone:
#   /run/kaio/volume             where the volume is mounted
#   /run/kaio/brick1, 2 and 3    file systems on loop devices over memory, each served by a process of its own
#   /run/netns/bricks            a network for those processes, at the other end of the link kaio0
# It runs the command and ends. Without one it prints "ready" as soon as the volume is there, and ends with its standard
# input. So, as root:
#   unshare --fork --kill-child --pid --mount --net --mount-proc --propagation private sh bench/glusterfs.sh 256 bash
set -e
size=$1
shift
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
mount -t tmpfs none /run
mkdir -p /run/kaio/volume /run/kaio/state /run/kaio/log
mount --bind /run/kaio/state /var/lib/glusterd
mount --bind /run/kaio/log /var/log/glusterfs

ip netns add bricks
ip link add kaio0 type veth peer name kaio1 netns bricks
ip address add 10.0.0.1/24 dev kaio0
ip -n bricks address add 10.0.0.2/24 dev kaio1
ip link set kaio0 up
ip -n bricks link set kaio1 up
ip -n bricks link set lo up
at_bricks() { nsenter --net=/run/netns/bricks "$@"; }

for number in 1 2 3; do
    brick=/run/kaio/brick$number
    mkdir $brick
    truncate -s "${size}M" $brick.disk
    mkfs.ext4 -q -m 0 $brick.disk
    mount -o loop $brick.disk $brick
    mkdir $brick/files
done
at_bricks glusterd
gluster="at_bricks gluster --mode=script volume"
# "force", because one machine for all bricks is nothing to rely on.
$gluster create kaio replica 3 10.0.0.2:/run/kaio/brick1/files 10.0.0.2:/run/kaio/brick2/files \
    10.0.0.2:/run/kaio/brick3/files force >/dev/null
$gluster set kaio cluster.heal-timeout 5 >/dev/null # else what was missed may wait for 600 s
$gluster start kaio >/dev/null
mount -t glusterfs -o direct-io-mode=enable 10.0.0.2:/kaio /run/kaio/volume
# A brick that comes to a file late may serve old data of it if the file has no name any more.
while [ "$(cat /run/kaio/volume/.meta/graphs/active/kaio-client-*/private | grep -c 'connected = 1')" != 3 ]; do
    sleep 0.05
done
if [ $# != 0 ]; then
    "$@"
else
    echo ready
    cat >/dev/null
fi
