"""Frequent given names of several countries: a column in which many cells begin with one holds people's names.

Of Europe and North America, written down by hand; none that is also a common word of a table.
"""

from __future__ import annotations

from typing import Final

_NAMES: Final = """
adam adrian agnieszka ahmed alan albert alberto alejandro alessandra alessandro alex alexander alexandra alfred
ali alice alicia alison amanda amy ana anders andrea andreas andrew andrzej angela anita ann anna anne annika
anthony antoine antonio arthur astrid barbara beata beatriz ben benjamin bernard bernd bettina birgit bjorn bob
brian bruno camille carl carla carlos carmen carol carolina caroline catherine cecilia charles charlotte chloe
chris christian christina christine christoph christopher claire clara claudia colin cristina cynthia daniel
daniela daniele david deborah denis dennis diana diego dieter dirk dmitri dominik donald donna dorothy eduardo
edward elena elisa elisabeth elizabeth ellen emily emma enrique eric erik erika esther eva ewa fabian fatima
federico felix fernando filip florian francesca francesco francisco francois frank franz frederic friedrich
gabriel gabriele gary george georg gerard gerhard giovanni giulia giuseppe gonzalo graham greg gregory guillaume
gunther gustav guy hanna hannah hans harald harry heike heinz helen helena helga helmut henri henrik herbert
hugo ian ibrahim igor ines ingrid irene isabel isabelle ivan jack jacob jakob jakub james jan jana jane janet
jason javier jean jeff jeffrey jennifer jens jeremy jerzy jessica jim joachim joan joanna joao joe johan johann
johannes john jonas jonathan jorge jose josef joseph juan judith julia julian julie julien jurgen justin kai
karen karin karl karolina katarzyna kate katharina katherine kathleen katja keith kelly ken kenneth kevin kim
klaus krzysztof lars laura lauren laurent lea lena leon leonardo lily linda lisa lorenzo louis louise luca lucas
lucia lucy luigi luis lukas maciej magdalena malgorzata manfred manuel marc marcel marcin marco marcos marcus
margaret maria marie marina mario marion mark markus marta martha martin martina mary mateusz mathias matteo
matthew matthias max maximilian megan melanie melissa michael michaela michal michel michele michelle miguel
mike mohamed mohammed monica monika muhammad nadia nancy natalia nathalie nicholas nick nicolas nicole niels
nikolai nils nina oliver olivia olga oscar pablo pamela paolo pascal patricia patrick patrik paul paula paulo
pavel pedro peter petra philip philipp philippe pierre piotr rachel rafael rainer ralf ralph raquel raul rebecca
renate ricardo riccardo richard robert roberto robin roger roland roman ronald rosa rosemary ruth ryan sabine
sabrina sam samantha samuel sandra sara sarah scott sebastian sergei sergio sharon silke silvia simon simone
sofia sonia sophie stefan stefanie stefano stella stephan stephanie stephen steve steven stuart susan susanne
sven sylvia tanja tatiana teresa theo theresa thierry thomas tim timothy tina tobias tom tomas tomasz ulrich
ulrike ursula ute uwe valentina valerie vanessa vera veronica victor victoria vincent vladimir volker walter
werner william wojciech wolfgang xavier yann yves zoe zofia
"""

GIVEN_NAMES: Final = frozenset(_NAMES.split())
