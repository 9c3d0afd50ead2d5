# Net::SMPP as a platform that asks after its messages, changes and takes back some, submits by data_sm and submit_multi.
use strict;
use warnings;
use JSON::PP;
use Net::SMPP;

$| = 1;
my $json = JSON::PP->new->canonical->ascii;
my $task = decode_json($ARGV[0]);
sub tell_it { my ($did, %more) = @_; print $json->encode({did => $did, %more}), "\n"; }

my ($smpp, $bound) = Net::SMPP->new_transceiver('127.0.0.1', port => $task->{port}, async => 0,
    system_id => $task->{system_id}, password => $task->{password}) or die "cannot bind: $!";
tell_it('bind', status => $bound->status);
my @source = (source_addr_ton => 5, source_addr => 'Shop', async => 1);
my @from = (@source, registered_delivery => 1);
my $heard = 0;

sub to { return (dest_addr_ton => 1, dest_addr_npi => 1, destination_addr => $_[0]); }

sub take {
    my $pdu = $smpp->read_pdu or die 'the link has ended';
    if ($pdu->cmd == Net::SMPP::CMD_deliver_sm) {
        $smpp->deliver_sm_resp(seq => $pdu->seq, message_id => '');
        tell_it('receipt', text => $pdu->{short_message}, destination => $pdu->{source_addr});
        $heard++;
    } elsif ($pdu->cmd == Net::SMPP::CMD_enquire_link) {
        $smpp->enquire_link_resp(seq => $pdu->seq);
    }
    return $pdu;
}

sub answer { my ($seq) = @_; while (1) { my $pdu = take; return $pdu if $pdu->cmd & 0x80000000 && $pdu->seq == $seq } }
sub receipts { my ($count) = @_; take while $heard < $count; }

sub submit {
    my ($number, @more) = @_;
    my $said = answer($smpp->submit_sm(@from, to($number), short_message => $task->{text}, @more));
    tell_it('submit', status => $said->status, id => $said->{message_id}, destination => $number);
    return $said->{message_id};
}

sub query {
    my ($of, $id) = @_;
    my $said = answer($smpp->query_sm(@source, message_id => $id));
    tell_it('query', of => $of, status => $said->status, id => $said->{message_id}, state => $said->{message_state},
        final => $said->{final_date} ? JSON::PP::true : JSON::PP::false);
}

sub replace {
    my ($of, $id) = @_;
    my $said = answer($smpp->replace_sm(@from, message_id => $id, short_message => $task->{replaced}));
    tell_it('replace', of => $of, status => $said->status);
}

sub cancel {
    my ($of, $id, $number) = @_;
    my $said = answer($smpp->cancel_sm(@source, to($number), message_id => $id));
    tell_it('cancel', of => $of, status => $said->status);
}

my $sent = submit($task->{near});
receipts(1);
query('delivered', $sent);
my $waiting = submit($task->{away});
query('waiting', $waiting);
cancel('waiting', $waiting, $task->{away});
receipts(2);
query('cancelled', $waiting);
cancel('cancelled', $waiting, $task->{away});
query('unknown', 'NOSUCHMESSAGE');
submit($task->{away});
cancel('by address', '', $task->{away});
receipts(3);
my $later = submit($task->{near}, schedule_delivery_time => '000000000002000R');
query('scheduled', $later);
replace('scheduled', $later);
replace('delivered', $sent);
receipts(4);
my $empty = answer($smpp->data_sm(@from, to($task->{near})));
tell_it('data refused', status => $empty->status);
my $data = answer($smpp->data_sm(@from, to($task->{near}), message_payload => $task->{data}));
tell_it('data', status => $data->status, id => $data->{message_id});
receipts(5);
my @all = ($task->{near}, $task->{other}, $task->{nowhere});
my $multi = answer($smpp->submit_multi(@from, destination_addr => \@all, dest_addr_ton => [1, 1, 1],
    dest_addr_npi => [1, 1, 1], short_message => $task->{multi}));
tell_it('multi', status => $multi->status, id => $multi->{message_id}, failed => [
    map { [$multi->{destination_addr}[$_], $multi->{error_status_code}[$_]] } 0 .. $multi->{num_unsuccess} - 1]);
receipts(7);
my $gone = answer($smpp->unbind(async => 1));
tell_it('unbind', status => $gone->status);
close $smpp;
tell_it('closed');
