from pgrpc import cli

raise SystemExit(cli.main())
