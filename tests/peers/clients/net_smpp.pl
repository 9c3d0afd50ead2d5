# Net::SMPP as a platform: binds, submits a short message and a long one as message_payload, unbinds.
use strict;
use warnings;
use Encode qw(decode encode);
use JSON::PP;
use Net::SMPP;

$| = 1;
my $json = JSON::PP->new->canonical->latin1;
my $task = decode_json($ARGV[0]);
sub tell_it { my ($did, %more) = @_; print $json->encode({did => $did, %more}), "\n"; }

my ($smpp, $bound) = Net::SMPP->new_transceiver('127.0.0.1', port => $task->{port}, async => 0,
    system_id => $task->{system_id}, password => $task->{password}, interface_version => $task->{version})
    or die "cannot bind: $!";
tell_it('bind', status => $bound->status, system_id => $bound->{system_id});
my @plain = (source_addr_ton => 5, source_addr => 'Shop', dest_addr_ton => 1, dest_addr_npi => 1,
    destination_addr => $task->{destination}, registered_delivery => 1, async => 1);
my %asked;
$asked{$smpp->submit_sm(@plain, short_message => $task->{text})} = 'submit';
$asked{$smpp->submit_sm(@plain, short_message => '', data_coding => 8,
    message_payload => encode('UTF-16BE', $task->{long}))} = 'long';
my $owed = $task->{mo} ? 3 : 2;
while (my $pdu = $smpp->read_pdu) {
    if ($pdu->cmd == Net::SMPP::CMD_submit_sm_resp) {
        tell_it($asked{$pdu->seq}, status => $pdu->status, id => $pdu->{message_id});
    } elsif ($pdu->cmd == Net::SMPP::CMD_deliver_sm) {
        $smpp->deliver_sm_resp(seq => $pdu->seq, message_id => '');
        tell_it($pdu->{esm_class} ? 'receipt' : 'mo', text => $pdu->{short_message}, esm_class => $pdu->{esm_class} + 0,
            tlv_id => defined $pdu->{receipted_message_id} ? $pdu->{receipted_message_id} : undef,
            tlv_state => defined $pdu->{message_state} ? ord($pdu->{message_state}) : undef,
            source => $pdu->{source_addr}, destination => $pdu->{destination_addr});
        $smpp->unbind(async => 1) unless --$owed;
    } elsif ($pdu->cmd == Net::SMPP::CMD_unbind_resp) {
        tell_it('unbind', status => $pdu->status);
        last;
    } elsif ($pdu->cmd == Net::SMPP::CMD_enquire_link) {
        $smpp->enquire_link_resp(seq => $pdu->seq);
    }
}
close $smpp;
tell_it('closed');
