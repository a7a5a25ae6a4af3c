% main(Rounds): prints the same every time.
:- dynamic fact/3.
:- table path/2.

edge(X, Y) :- between(1, 80, X), Y is (X * 7 + 3) mod 80 + 1.
path(X, Y) :- edge(X, Y).
path(X, Y) :- path(X, Z), edge(Z, Y).

queens(N, Qs) :- numlist(1, N, Ns), select_queens(Ns, [], Qs).
select_queens([], Qs, Qs).
select_queens(Ns, Safe, Qs) :- select(Q, Ns, Rest), \+ attack(Q, 1, Safe), select_queens(Rest, [Q|Safe], Qs).
attack(X, N, [Y|_]) :- X is Y + N ; X is Y - N.
attack(X, N, [_|Ys]) :- N1 is N + 1, attack(X, N1, Ys).

store(Count) :-
  forall(between(1, Count, I), (K is I * 7919 mod 1009, atom_concat(atom, K, A), assertz(fact(K, A, I)))),
  aggregate_all(count, fact(_, _, _), N), aggregate_all(sum(I), fact(17, _, I), S),
  writeln(stored(N, S)), retractall(fact(_, _, _)), garbage_collect_clauses.

atoms(Count) :-
  findall(L, (between(1, Count, I), format(atom(A), "~w-~|~`xt~w~30|", [I, I]), atom_length(A, L)), Ls),
  sum_list(Ls, S), writeln(atoms(S)), garbage_collect_atoms.

worker(Queue, Done) :-
  thread_get_message(Queue, M),
  ( M == stop -> true
  ; findall(X, (between(1, 2000, I), X is (I * M) mod 997), Xs), msort(Xs, Ys), sum_list(Ys, S),
    thread_send_message(Done, result(M, S)), worker(Queue, Done) ).

threads :-
  message_queue_create(Queue), message_queue_create(Done),
  findall(T, (between(1, 4, _), thread_create(worker(Queue, Done), T)), Ts),
  forall(between(1, 100, M), thread_send_message(Queue, M)),
  findall(M-S, (between(1, 100, _), thread_get_message(Done, result(M, S))), Rs),
  forall(member(_, Ts), thread_send_message(Queue, stop)),
  forall(member(T, Ts), thread_join(T)),
  msort(Rs, Sorted), term_hash(Sorted, Hash), writeln(threads(Hash)),
  message_queue_destroy(Queue), message_queue_destroy(Done).

main(Rounds) :-
  forall(between(1, Rounds, _),
    ( store(60000), atoms(30000), threads,
      queens(16, Qs), writeln(Qs),
      aggregate_all(count, path(_, _), P), writeln(paths(P)), abolish_all_tables )),
  X is 3 ** 20000 mod 1000003, writeln(X),
  catch(length(_, -1), error(E, _), (print_message(silent, E), writeln(caught))),
  catch((numlist(1, 100000000, L), writeln(L)), error(resource_error(R), _), writeln(no(R))).
