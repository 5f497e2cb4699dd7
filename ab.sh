for i in 1 2 3 4 5; do for c in /work/main /tmp/w/mine; do echo $c $(PYTHONPATH=$c /work/main/.venv/bin/python /tmp/t/s26/prof.py "$@" 2>/dev/null); done; done
