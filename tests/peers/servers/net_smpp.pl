# Net::SMPP as a carrier: answers each text as its script says; its receipts come zero-padded, by the receiver bind.
use strict;
use warnings;
use Encode qw(decode);
use IO::Select;
use JSON::PP;
use Net::SMPP;
use Time::HiRes qw(time);

$| = 1;
my $json = JSON::PP->new->canonical->ascii;
my $task = decode_json($ARGV[0]);
sub tell_it { my ($did, %more) = @_; print $json->encode({did => $did, %more}), "\n"; }

my (@links, %mode, %offers, %mute, @later, %sent);
my $last = 0x5eedef00;
my $wanted = IO::Select->new;
my $door = 0;
if ($task->{dials}) {    # it calls us, says who it is, and is bound to on that link
    my $link = Net::SMPP->new_connect('127.0.0.1', port => $task->{dials}, smpp_version => 0x34) or die "no answer: $!";
    $link->outbind(%{$task->{outbind}});
    push @links, $link;
    $wanted->add($link);
} else {
    $door = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34) or die "cannot listen: $!";
    $wanted->add($door);
    tell_it('listening', port => $door->sockport);
}

sub number_of { my ($link) = @_; for my $at (0 .. $#links) { return $at if $links[$at] == $link } return -1; }
sub in_a_while { my ($seconds, $work) = @_; push @later, [time + $seconds, $work]; }

sub deliver {
    my ($link, $did, $told, @fields) = @_;
    my $seq = $link->deliver_sm(async => 1, @fields);
    $sent{number_of($link) . "/$seq"} = [$did, $told];
}

sub receipt {
    my ($link, $pdu, $number, $word, $told) = @_;
    my $failed = $word ne 'DELIVRD';
    my $text = sprintf('id:%012X sub:001 dlvrd:%s submit date:2607141205 done date:2607141205 stat:%s err:%s text:',
        $number, $failed ? '000' : '001', $word, $failed ? '011' : '000');
    deliver($link, 'receipt', $told, source_addr_ton => $pdu->{dest_addr_ton},
        source_addr_npi => $pdu->{dest_addr_npi}, source_addr => $pdu->{destination_addr},
        dest_addr_ton => $pdu->{source_addr_ton}, dest_addr_npi => $pdu->{source_addr_npi},
        destination_addr => $pdu->{source_addr}, esm_class => 4, short_message => $text);
}

sub submitted {
    my ($link, $pdu) = @_;
    my $octets = length $pdu->{short_message} ? $pdu->{short_message} : $pdu->{message_payload} // '';
    my $header = $pdu->{esm_class} & 0x40 ? ord($octets) + 1 : 0;
    my $text = decode($pdu->{data_coding} == 8 ? 'UTF-16BE' : 'ascii', substr($octets, $header));
    my $order = $task->{script}{$text} || {};
    my $status = ($order->{statuses} || [])->[$offers{$text}++ || 0] || 0;
    my $number = ++$last;
    tell_it('submit', text => $text, udh => unpack('H*', substr($octets, 0, $header)), source => $pdu->{source_addr},
        destination => $pdu->{destination_addr}, esm_class => $pdu->{esm_class} + 0, link => number_of($link),
        data_coding => $pdu->{data_coding} + 0, registered_delivery => $pdu->{registered_delivery} + 0,
        payload => defined $pdu->{message_payload} ? JSON::PP::true : JSON::PP::false,
        status => $status + 0, unpacked => Net::SMPP::unpack_7bit($octets));
    if ($order->{cut} && $offers{$text} == 1) {
        shutdown $link, 2;
        return;
    }
    my ($receiver) = grep { $mode{$_} ne 'bind_transmitter' } @links;
    my $asked = !$status && $pdu->{registered_delivery} & 1 && !$order->{mute};
    $mute{sprintf('%X', $number)} = $order->{mute} if $order->{mute};
    my $fate = sub { receipt($receiver, $pdu, $number, $order->{word} || 'DELIVRD', $text) };
    $fate->() if $asked && $order->{early};
    in_a_while(($order->{late_ms} || ($order->{early} ? 200 : 0)) / 1000, sub {
        $link->submit_sm_resp(seq => $pdu->{seq}, status => $status, message_id => $status ? '' : sprintf('%X', $number));
        tell_it('answer', text => $text, status => $status + 0);
        in_a_while(0.02, $fate) if $asked && !$order->{early};
        in_a_while(0.1, sub { $link->unbind(async => 1) }) if $order->{leave};
        deliver($receiver, 'mo', $_->{hex}, source_addr_ton => 1, source_addr_npi => 1,
            source_addr => $pdu->{destination_addr}, dest_addr_ton => 3, destination_addr => $_->{to},
            esm_class => $_->{udhi} ? 0x40 : 0, short_message => pack('H*', $_->{hex})) for @{$order->{mo} || []};
    });
}

sub bound {
    my ($link, $pdu, $bind) = @_;
    my $right = $pdu->{system_id} eq $task->{system_id} && $pdu->{password} eq $task->{password};
    my $answer = "${bind}_resp";
    $mode{$link} = $bind;
    tell_it('bind', mode => $bind, system_type => $pdu->{system_type}, version => $pdu->{interface_version} + 0,
        right => $right ? JSON::PP::true : JSON::PP::false);
    $link->$answer(seq => $pdu->{seq}, status => $right ? 0 : 0x0e, system_id => 'perl');
}

sub taken {
    my ($link, $pdu) = @_;
    my $said = $pdu->explain_cmd;
    if ($said =~ /^bind_\w+er$/) {
        bound($link, $pdu, $said);
    } elsif ($said eq 'submit_sm') {
        submitted($link, $pdu);
    } elsif ($said eq 'deliver_sm_resp') {
        my ($did, $told) = @{$sent{number_of($link) . '/' . $pdu->{seq}}};
        tell_it($did, text => $told, status => $pdu->{status} + 0, link => number_of($link));
    } elsif ($said eq 'query_sm') {
        my $state = $mute{$pdu->{message_id}} || 0;
        tell_it('query', text => $pdu->{message_id}, state => $state + 0);
        $link->query_sm_resp(seq => $pdu->{seq}, message_id => $pdu->{message_id}, final_date => '260714120500000+',
            message_state => $state, error_code => 0, status => $state ? 0 : 0x67);
    } elsif ($said eq 'unbind_resp') {
        tell_it('left', status => $pdu->{status} + 0);
    } elsif ($said eq 'enquire_link') {
        $link->enquire_link_resp(seq => $pdu->{seq});
        tell_it('enquire');
    } elsif ($said eq 'unbind') {
        $link->unbind_resp(seq => $pdu->{seq});
        tell_it('unbind');
    } else {
        tell_it('error', error => "did not expect $said");
    }
}

while (1) {
    for my $link ($wanted->can_read(0.01)) {
        if ($link == $door) {
            my $new = $door->accept;
            push @links, $new;
            $wanted->add($new);
        } elsif (my $pdu = $link->read_pdu) {
            taken($link, $pdu);
        } else {
            $wanted->remove($link);
            close $link;
            tell_it('closed');
        }
    }
    my $now = time;
    my @due = grep { $_->[0] <= $now } @later;
    @later = grep { $_->[0] > $now } @later;
    $_->[1]->() for @due;
}
