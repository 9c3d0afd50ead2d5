# Net::SMPP as a platform that waits to be called: it listens, is sent outbind, binds as a receiver on that very link.
use strict;
use warnings;
use JSON::PP;
use Net::SMPP;

$| = 1;
my $json = JSON::PP->new->canonical->ascii;
my $task = decode_json($ARGV[0]);
sub tell_it { my ($did, %more) = @_; print $json->encode({did => $did, %more}), "\n"; }

my $door = Net::SMPP->new_listen('127.0.0.1', port => $task->{port}, smpp_version => 0x34) or die "cannot listen: $!";
tell_it('listening');
my $link = $door->accept;
while (my $pdu = $link->read_pdu) {
    my $said = $pdu->explain_cmd;
    if ($said eq 'outbind') {
        tell_it('outbind', system_id => $pdu->{system_id}, password => $pdu->{password});
        $link->bind_receiver(async => 1, system_id => $task->{system_id}, password => $task->{password});
    } elsif ($said eq 'bind_receiver_resp') {
        tell_it('bind', status => $pdu->status);
    } elsif ($said eq 'deliver_sm') {
        $link->deliver_sm_resp(seq => $pdu->seq, message_id => '');
        tell_it('receipt', text => $pdu->{short_message});
        $link->unbind(async => 1);
    } elsif ($said eq 'unbind_resp') {
        tell_it('unbind', status => $pdu->status);
        last;
    }
}
close $link;
tell_it('closed');
